"""The guards are still in pyproject.toml: import contracts, and the bans on clock, randomness and tasks outside their one place.

`lint-imports` and `ruff` enforce them; these tests only see that nobody took one away.
"""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

CONTRACTS = {
    "storeys": "layers",
    "core": "layers",
    "pipeline": "layers",
    "edges": "independence",
    "pure": "forbidden",
    "sim": "forbidden",
    "apart": "forbidden",
    "library": "forbidden",
    "reading": "forbidden",
    "doors": "protected",
    "circles": "acyclic_siblings",
}
MAY_LIFT_THE_BAN = {"gateway/edges/clock.py", "gateway/edges/chance.py", "gateway/upkeep.py"}


@pytest.fixture
def settings(house: Path) -> dict[str, Any]:
    """The tools' part of pyproject.toml."""
    tools: dict[str, Any] = tomllib.loads((house / "pyproject.toml").read_text())["tool"]
    return tools


def test_every_import_contract_still_stands(settings: dict[str, Any]) -> None:
    linter = settings["importlinter"]
    found = {contract["id"]: contract["type"] for contract in linter["contracts"]}
    assert CONTRACTS.items() <= found.items()
    assert set(linter["root_packages"]) == {"gateway", "router_models", "load"}
    assert linter["include_external_packages"] is True


def test_no_contract_looks_away(settings: dict[str, Any]) -> None:
    for contract in settings["importlinter"]["contracts"]:
        assert not contract.get("ignore_imports"), contract["id"]
        if contract["type"] == "layers":
            assert contract["exhaustive"] is True, contract["id"]


def test_what_decides_may_import_neither_clock_nor_socket_nor_chance(settings: dict[str, Any]) -> None:
    pure = next(c for c in settings["importlinter"]["contracts"] if c["id"] == "pure")
    assert set(pure["source_modules"]) == {"gateway.domain", "gateway.core", "gateway.wire"}
    assert {"asyncio", "time", "random", "secrets", "os", "pathlib", "socket", "logging", "uuid"} <= set(pure["forbidden_modules"])


def test_the_ban_is_lifted_only_where_time_chance_and_tasks_live(settings: dict[str, Any]) -> None:
    lifted = {place for place, rules in settings["ruff"]["lint"]["per-file-ignores"].items() if "TID251" in rules or "TID" in rules}
    assert {place for place in lifted if place.startswith("gateway/")} == MAY_LIFT_THE_BAN
    assert "TID" in settings["ruff"]["lint"]["select"] and "TID251" not in settings["ruff"]["lint"]["ignore"]


@pytest.mark.parametrize(
    "source",
    [
        "import time\nx = time.time()\n",
        "from time import monotonic\nx = monotonic()\n",
        "import time\nx = time.perf_counter()\n",
        "from datetime import datetime\nx = datetime.now()\n",
        "import random\nx = random.random()\n",
        "import random\nx = random.Random(1)\n",
        "import os\nx = os.urandom(3)\n",
        "import uuid\nx = uuid.uuid4()\n",
        "import asyncio\nx = asyncio.create_task(y())\n",
        "import asyncio\nx = asyncio.ensure_future(y())\n",
    ],
)
def test_ruff_refuses_what_is_banned(house: Path, source: str) -> None:
    assert "TID251" in complaints(house, "gateway/pipeline/pipeline.py", source)


def test_ruff_lets_the_clock_read_time(house: Path) -> None:
    assert "TID251" not in complaints(house, "gateway/edges/clock.py", "import time\nx = time.time()\n")


def complaints(house: Path, name: str, source: str) -> str:
    """Return what ruff says about a source text under a file name."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed beside this Python")
    call = [str(ruff), "check", "--no-cache", "--output-format", "concise", "--stdin-filename", str(house / name), "-"]
    return subprocess.run(call, input=source, capture_output=True, text=True, cwd=house, timeout=30, check=False).stdout
