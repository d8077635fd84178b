"""What the tests of the house share: where it stands."""

from pathlib import Path

import pytest


@pytest.fixture
def house() -> Path:
    """The folder that holds pyproject.toml."""
    return next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
