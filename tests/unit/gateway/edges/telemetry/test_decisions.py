"""The decision log on real files: rotation, full disks, removed directories, torn lines."""

import json
import resource
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.edges.telemetry.decisions import RECENT_MAX, FileDecisionLog
from gateway.edges.telemetry.options import DecisionLogOptions


def as_line(record: tuple[Any, ...]) -> Mapping[str, Any]:
    """Stand in for the core's record: a number and its prices version."""
    if record[0] == "prices":
        return {"kind": "prices", "prices": {"version": record[1]}, "gains": record[2]}
    return {"kind": "decision", "n": record[1], "prices_version": record[2], "pad": "x" * 50}


def as_json(record: tuple[Any, ...]) -> tuple[int | None, bytes]:
    line = as_line(record)
    return (record[1] if record[0] == "prices" else record[2]), json.dumps(line).encode()


def made(path: Path, **options: Any) -> FileDecisionLog:
    return FileDecisionLog(DecisionLogOptions(path=str(path), **options), as_line, as_json)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def numbers(path: Path) -> list[int]:
    return [line["n"] for line in lines(path) if line["kind"] == "decision"]


def test_nothing_is_written_before_flush_and_everything_after(tmp_path: Path) -> None:
    log = made(tmp_path / "new" / "d.jsonl")
    log.write(("decision", 1, 7))
    log.write(("decision", 2, 7))
    assert not (tmp_path / "new" / "d.jsonl").exists()
    log.flush()
    assert numbers(tmp_path / "new" / "d.jsonl") == [1, 2]
    assert (log.written, log.dropped, log.errors) == (2, 0, 0)


def test_prices_stand_before_the_first_decision_that_needs_them_and_only_once(tmp_path: Path) -> None:
    log = made(tmp_path / "d.jsonl")
    for record in [("prices", 1, 0), ("prices", 2, 0), ("prices", 3, 0), ("decision", 1, 2), ("decision", 2, 1), ("decision", 3, 2)]:
        log.write(record)
        log.flush()
    found = [(line["kind"], line["prices"]["version"] if line["kind"] == "prices" else line["n"]) for line in lines(tmp_path / "d.jsonl")]
    assert found == [("prices", 2), ("decision", 1), ("prices", 1), ("decision", 2), ("decision", 3)]


def test_prices_with_new_gains_are_written_again_for_the_decisions_after_them(tmp_path: Path) -> None:
    log = made(tmp_path / "d.jsonl")
    for record in [("prices", 1, 0), ("decision", 1, 1), ("prices", 1, 99), ("decision", 2, 1)]:
        log.write(record)
        log.flush()
    assert [line.get("gains") for line in lines(tmp_path / "d.jsonl")] == [0, None, 0, 99, None]


def test_rotated_files_are_bounded_and_each_explains_itself(tmp_path: Path) -> None:
    log = made(tmp_path / "d.jsonl", rotate_at=1000, keep=2)
    log.write(("prices", 5, 0))
    for n in range(100):
        log.write(("decision", n, 5))
        log.flush()
    files = sorted(tmp_path.iterdir())
    assert [f.name for f in files] == ["d.jsonl", "d.jsonl.1", "d.jsonl.2"]
    for file in files:
        assert file.stat().st_size <= 1000
        assert lines(file)[0] == {"kind": "prices", "prices": {"version": 5}, "gains": 0}
    kept = numbers(files[2]) + numbers(files[1]) + numbers(files[0])
    assert kept == list(range(kept[0], 100))


def test_a_full_disk_is_counted_and_the_log_resumes_by_itself(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.symlink_to("/dev/full")
    log = made(path, buffer_max=3)
    for n in range(2):
        log.write(("decision", n, 1))
    log.flush()
    assert log.errors == 1
    assert log.view()["last_error"].startswith("No space left on device")
    for n in range(2, 7):
        log.write(("decision", n, 1))
    log.flush()
    assert (log.errors, log.dropped) == (2, 2)
    path.unlink()
    log.flush()
    assert numbers(path) == [0, 1, 2, 3, 4]
    assert log.view()["last_error"] is None


def test_a_batch_that_fits_only_in_part_leaves_no_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    log = made(path)
    log.write(("decision", 0, 1))
    log.flush()
    before = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (before + 30, hard))
    try:
        log.write(("decision", 1, 1))
        log.flush()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.errors == 1
    assert path.stat().st_size == before
    log.flush()
    assert numbers(path) == [0, 1]


def test_a_removed_directory_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "d.jsonl"
    log = made(path)
    log.write(("decision", 0, 1))
    log.flush()
    shutil.rmtree(path.parent)
    log.write(("decision", 1, 1))
    log.flush()
    assert log.errors == 1
    assert not path.parent.exists()
    path.parent.mkdir()
    log.flush()
    assert numbers(path) == [1]


def test_a_file_moved_away_by_somebody_else_is_made_anew_with_its_prices(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    log = made(path)
    log.write(("prices", 1, 0))
    log.write(("decision", 0, 1))
    log.flush()
    path.rename(tmp_path / "moved")
    log.write(("decision", 1, 1))
    log.flush()
    assert [line["kind"] for line in lines(path)] == ["prices", "decision"]


def test_a_line_torn_by_a_killed_process_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_text('{"kind":"decis')
    log = made(path)
    log.write(("decision", 1, 1))
    log.close()
    assert json.loads(path.read_text().splitlines()[1])["n"] == 1


def test_the_last_decisions_are_kept_for_the_page_even_without_a_file() -> None:
    log = FileDecisionLog(DecisionLogOptions(path=None), as_line, as_json)
    log.write(("prices", 1, 0))
    for n in range(RECENT_MAX + 10):
        log.write(("decision", n, 1))
    log.flush()
    assert [line["n"] for line in log.recent(3)] == [RECENT_MAX + 9, RECENT_MAX + 8, RECENT_MAX + 7]
    assert len(log.recent()) == RECENT_MAX
    assert log.view() == {"path": None, "written": 0, "dropped": 0, "errors": 0, "last_error": None, "waiting": 0}


def test_each_process_has_its_own_file(tmp_path: Path) -> None:
    options = DecisionLogOptions(path=str(tmp_path / "d.jsonl"))
    assert FileDecisionLog(options, as_line, as_json, suffix=".w1").path == tmp_path / "d.w1.jsonl"


def test_writing_goes_on_while_a_thread_flushes(tmp_path: Path) -> None:
    log = made(tmp_path / "d.jsonl", rotate_at=10**9)
    stop = threading.Event()

    def flusher() -> None:
        while not stop.is_set():
            log.flush()

    thread = threading.Thread(target=flusher)
    thread.start()
    for n in range(20_000):
        log.write(("decision", n, 1))
    stop.set()
    thread.join()
    log.close()
    assert numbers(tmp_path / "d.jsonl") == list(range(20_000))


def test_an_unwritable_place_at_start_is_an_error_in_the_view_not_an_exception(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    log = made(tmp_path / "file" / "d.jsonl")
    log.write(("decision", 1, 1))
    log.flush()
    assert log.errors == 2
    assert "file" in log.view()["last_error"]


@pytest.mark.parametrize("keep", [0, 1])
def test_few_or_no_rotated_files_may_be_kept(tmp_path: Path, keep: int) -> None:
    log = made(tmp_path / "d.jsonl", rotate_at=300, keep=keep)
    for n in range(20):
        log.write(("decision", n, 1))
        log.flush()
    assert len(list(tmp_path.iterdir())) == 1 + keep


def test_a_record_is_formatted_at_flush_and_not_on_the_request_path(tmp_path: Path) -> None:
    seen: list[Any] = []

    def spy(record: tuple[Any, ...]) -> tuple[int | None, bytes]:
        seen.append(record)
        return as_json(record)

    log = FileDecisionLog(DecisionLogOptions(path=str(tmp_path / "d.jsonl")), as_line, spy)
    log.write(("decision", 1, None))
    assert seen == []
    log.flush()
    assert len(seen) == 1
