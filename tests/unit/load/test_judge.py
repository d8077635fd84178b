"""The judge's scripts are run, results are kept and shown; a stand-in of four small scripts judges in a second."""

from pathlib import Path

import pytest

from load.judge import Cell, Judge, JudgeError, judge_all, table

MAKES = """
import json, sys, pathlib, numpy as np, pyarrow as pa, pyarrow.parquet as pq
name, out, _, seed = sys.argv[1:]
sys.path.insert(0, {tests!r})
from test_worlds import world
w = world(int(seed))
folder = pathlib.Path(out) / f"{{name}}-{{seed}}"
folder.mkdir(parents=True)
pq.write_table(pa.table(w.columns), folder / "world.parquet")
(folder / "world.json").write_text(json.dumps(w.facts))
"""
SCORES = """
import json, sys, pathlib
log, scores = pathlib.Path(sys.argv[2]), sys.argv[5]
assert (log / "decisions.parquet").exists() and (log / "ticks.jsonl").exists()
pathlib.Path(scores).write_text(json.dumps(METRICS))
print("spend_over_budget = 1.5000 is outside [None, 1.0]" if "static" in str(log) else "all bounds hold")
sys.exit("static" in str(log))
"""
REFERENCES = """
import json, sys, pathlib
pathlib.Path(sys.argv[-1]).write_text(json.dumps([{"world": "small", "seed": 1, "law": "dual", "broken": [], "metrics": METRICS}]))
"""
METRICS = {
    "spend_over_budget": 0.999, "regret": 0.0123, "captured": 0.98, "alpha_tv_per_h": 0.1, "reversals_per_h": 0.2,
    "availability_burn": 0.3, "ttft_burn": 0.2, "quality_burn": 0.6, "recovery_s_outage_0": 40.0,
}  # fmt: skip


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "worlds.py").write_text(MAKES.format(tests=str(Path(__file__).parent)))
    for name, text in (("score.py", SCORES), ("reference_laws.py", REFERENCES)):
        (folder / name).write_text(f"METRICS = {METRICS!r}\n{text}")
    (folder / "bounds.json").write_text('{"small": {}}')
    return Judge(folder, tmp_path / "kept")


def test_a_world_is_judged_once_and_kept_until_something_changes(judge: Judge) -> None:
    cells = judge_all(judge, judge.worlds(), [1], ["static", "shadow_price"], jobs=1)
    assert [(c.law, c.is_ours, bool(c.broken)) for c in cells] == [
        ("static", True, True), ("shadow_price", True, False), ("dual", False, False),
    ]  # fmt: skip
    kept = sorted(p.name for p in judge.out.iterdir())
    assert len(kept) == 3 and not any(p.is_dir() for p in judge.out.iterdir())
    times = {p.name: p.stat().st_mtime_ns for p in judge.out.iterdir()}
    assert judge_all(judge, ["small"], [1], ["static", "shadow_price"], jobs=1) == cells
    assert {p.name: p.stat().st_mtime_ns for p in judge.out.iterdir()} == times
    (judge.folder / "reference_laws.py").write_text(f"METRICS = {METRICS!r}\n{REFERENCES}#")
    judge.judged("small", 1, ["static", "shadow_price"])
    assert len(list(judge.out.iterdir())) == 4  # Only the reference laws were played again.


def test_a_script_that_fails_is_named_with_what_it_said(judge: Judge) -> None:
    (judge.folder / "score.py").write_text("raise SystemExit('no such world')")
    with pytest.raises(JudgeError, match=r"score\.py(.|\n)*no such world"):
        judge.judged("small", 1, ["static"])
    assert list(judge.out.iterdir()) == []


def test_a_folder_that_is_not_the_judges_is_refused(tmp_path: Path) -> None:
    with pytest.raises(JudgeError, match=r"has no worlds\.py"):
        Judge(tmp_path, tmp_path / "kept").check()


def test_the_table_has_a_row_for_each_world_with_means_over_its_seeds() -> None:
    better = METRICS | {"spend_over_budget": 1.001, "regret": 0.0023, "recovery_s_outage_0": 90.0}
    cells = [
        Cell("outage", 1, "shadow_price", True, METRICS, ("regret = 0.0123 is outside [None, 0.01]",)),
        Cell("outage", 2, "shadow_price", True, better, ()),
        Cell("outage", 1, "dual", False, METRICS, ()),
        Cell("steady", 1, "static", True, METRICS, ()),
    ]
    head, _, outage, steady = table(cells, ["static", "shadow_price"]).splitlines()
    assert head.startswith("| world | static | shadow_price | judge's dual |")
    assert outage == "| outage |  | 1.000 / 0.73 | 0.999 / 1.23 | 0.980, 0.10, 0.2 | 0.300, 0.200, 0.600 | 90 | 1 of 2 |"
    assert steady == "| steady | 0.999 / 1.23 |  |  |  |  |  |  |"
