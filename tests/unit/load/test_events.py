"""Events: spelled NAME@AT[:FOR], and nothing else."""

from pathlib import Path

import pytest

from load.events import Event, EventError, EventKind, store_pids


def test_events_are_read_with_and_without_a_length() -> None:
    assert Event.read("kill-store@600") == Event(EventKind.KILL_STORE, 600.0, 0.0)
    assert Event.read("stop-store@12.5:60") == Event(EventKind.STOP_STORE, 12.5, 60.0)


@pytest.mark.parametrize("text", ["kill-store", "kill-store@", "explode@5", "kill-store@-5", "kill-store@5:", "kill-store@5:6:7", ""])
def test_other_spellings_are_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(EventError, match="NAME@AT"):
        Event.read(text)


@pytest.mark.parametrize("name", ["stop-store", "restart-gateway", "kill-gateway"])
def test_what_must_end_needs_a_length(name: str) -> None:
    with pytest.raises(EventError, match="needs a length"):
        Event.read(f"{name}@5")


def test_a_directory_without_a_server_has_no_process(tmp_path: Path) -> None:
    assert store_pids(tmp_path) == []
