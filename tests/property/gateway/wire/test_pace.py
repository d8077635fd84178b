"""Holding tokens back never helps, however it is done; bounds and cuts."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.wire.pace import Pace

EXPECTED = (1.0, 10.0)
steps = st.lists(st.tuples(st.floats(0, 5), st.integers(1, 400)), min_size=1, max_size=30)


def watched(chunks: list[tuple[float, int]], blocked: dict[int, float] | None = None) -> Pace:
    """Return the pace of chunks, given as (pause before it, bytes); `blocked`: seconds that a write took, by chunk."""
    pace, at_s, total = Pace((EXPECTED,), 0.0, 0.25), 0.0, 0
    for i, (pause_s, size) in enumerate(chunks):
        at_s, total = at_s + pause_s, total + size
        pace.saw(at_s, total)
        at_s += (blocked or {}).get(i, 0.0)
        pace.wrote(at_s)
    return pace


def qoe(pace: Pace) -> float:
    return pace.timelines()[0].qoe


@given(steps)
def test_it_stays_within_its_bounds(chunks: list[tuple[float, int]]) -> None:
    pace = watched(chunks)
    assert 0.0 <= qoe(pace) <= 1.0 and 0.0 <= pace.stall_s <= sum(pause for pause, _ in chunks[1:]) + 1e-9


@given(steps, st.data())
def test_a_longer_pause_anywhere_never_makes_it_better(chunks: list[tuple[float, int]], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(chunks) - 1))
    later = list(chunks)
    later[at] = (chunks[at][0] + data.draw(st.floats(0, 1000)), chunks[at][1])
    assert qoe(watched(later)) <= qoe(watched(chunks)) + 1e-9
    assert at == 0 or watched(later).stall_s >= watched(chunks).stall_s - 1e-9


@given(steps, st.data())
def test_holding_a_chunk_back_until_the_next_never_makes_it_better(chunks: list[tuple[float, int]], data: st.DataObject) -> None:
    if len(chunks) < 2:
        return
    at = data.draw(st.integers(0, len(chunks) - 2))
    (first_s, some), (second_s, more) = chunks[at], chunks[at + 1]
    held = [*chunks[:at], (first_s + second_s, some + more), *chunks[at + 2 :]]
    assert qoe(watched(held)) <= qoe(watched(chunks)) + 1e-9


@given(steps, st.integers(0, 29), st.floats(0, 100))
def test_a_client_that_does_not_read_changes_nothing(chunks: list[tuple[float, int]], at: int, blocked_s: float) -> None:
    free, slow = watched(chunks), watched(chunks, {at: blocked_s})
    assert abs(qoe(free) - qoe(slow)) < 1e-9 and abs(free.stall_s - slow.stall_s) < 1e-9
