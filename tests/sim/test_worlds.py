"""The default law on worlds, and under bounds, that its authors did not write.

Needs the judge's folder: `SLUICE_JUDGE`, or `judge` beside `SLUICE_DATA`. Each world is a day of 200,000 requests and takes about
half a minute. Seeds are those that nothing was tuned on.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from load.worlds import World, replay, write

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]
WORLDS = [("reference-day", 11), ("under-forecast", 12)]


@pytest.fixture
def judge() -> Path:
    """The folder that makes and scores worlds."""
    named, data = os.environ.get("SLUICE_JUDGE"), os.environ.get("SLUICE_DATA")
    folder = Path(named) if named else Path(data).resolve().parent / "judge" if data else None
    if folder is None or not (folder / "worlds.py").exists():
        pytest.skip("no judge: set SLUICE_JUDGE, or SLUICE_DATA to the folder beside it")
    pytest.importorskip("pyarrow")
    return folder


@pytest.mark.parametrize(("name", "seed"), WORLDS)
def test_the_default_law_breaks_no_bound(judge: Path, tmp_path: Path, name: str, seed: int) -> None:
    making = [sys.executable, str(judge / "worlds.py"), name, str(tmp_path), "--seed", str(seed)]
    made = subprocess.run(making, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    folder, log = tmp_path / f"{name}-{seed}", tmp_path / "log"
    write(replay(World.load(folder), "shadow_price"), log)
    scores = tmp_path / "scores.json"
    scoring = [sys.executable, str(judge / "score.py"), str(folder), str(log), "--assert", "--json", str(scores)]
    scored = subprocess.run(scoring, capture_output=True, text=True, check=False)
    assert scored.returncode == 0, f"{name}, seed {seed}:\n{scored.stdout}{scored.stderr}"
    assert 0.99 <= json.loads(scores.read_text())["spend_over_budget"] <= 1.005
