"""What the tests of the config edge share: a smallest configuration, and a way to load changed ones."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from gateway.config.errors import ConfigErrors
from gateway.config.load import Config, load

MINIMAL = """\
models:
  - name: strong
    tariff: {input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}
    context_tokens: 128000
    backends: [{url: "http://a:8000/v1", model: big, engine: vllm}]
  - name: weak
    tariff: {input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}
    context_tokens: 32000
    backends: [{url: "http://b:8000/v1/", model: small}]
routes: [{name: auto, models: [strong, weak]}]
auth: none
"""


@pytest.fixture
def minimal() -> str:
    return MINIMAL


@pytest.fixture
def configure() -> Callable[..., Config]:
    """Load the smallest configuration with lines added to it."""

    def made(more: str = "", environ: Mapping[str, str] | None = None, base: str = MINIMAL) -> Config:
        return load("sluice.yaml", environ or {}, (base + more).encode())

    return made


@pytest.fixture
def complaints_of() -> Callable[..., list[str]]:
    """Return `path: message` of everything that is wrong with the smallest configuration and lines added to it."""

    def made(more: str = "", environ: Mapping[str, str] | None = None, base: str = MINIMAL) -> list[str]:
        try:
            load("sluice.yaml", environ or {}, (base + more).encode())
        except ConfigErrors as exc:
            return [str(error).split(" ", 1)[1] for error in exc.errors]
        return []

    return made


@pytest.fixture
def shipped() -> Path:
    """The folder of the configurations that come with the project."""
    return next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists()) / "config"
