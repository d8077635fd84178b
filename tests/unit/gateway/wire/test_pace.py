"""How a stream kept pace with an expected timeline."""

import pytest

from gateway.wire.pace import Pace

TEN = (1.0, 10.0)
"""First token after a second, then ten a second."""


def paced(*seen: tuple[float, int], expected: tuple[tuple[float, float], ...] = (TEN,), tokens_per_byte: float = 0.25) -> Pace:
    """Return a pace that was told (seconds, tokens so far); the request was read at 100."""
    pace = Pace(expected, 100.0, tokens_per_byte)
    for at_s, tokens in seen:
        pace.saw(100.0 + at_s, round(tokens / tokens_per_byte))
        pace.wrote(100.0 + at_s)
    return pace


def qoe(pace: Pace) -> float:
    (kept,) = pace.timelines()
    return kept.qoe


def test_nothing_is_said_before_the_first_content() -> None:
    assert paced().timelines() == () and paced((5.0, 0)).timelines() == ()


def test_who_keeps_the_timeline_or_is_faster_loses_nothing() -> None:
    assert qoe(paced(*[(1.0 + k / 10, k + 1) for k in range(100)])) == pytest.approx(1.0, abs=0.005)
    assert qoe(paced((0.2, 100))) == 1.0


def test_a_late_start_moves_every_token() -> None:
    # 100 tokens, each 0.6 s late, expected after 6 s on average.
    late = paced(*[(1.6 + k / 10, k + 1) for k in range(100)])
    assert qoe(late) == pytest.approx(1 - 0.6 / 6.0, abs=0.01)


def test_one_chunk_that_comes_with_all_is_late_for_those_that_were_due() -> None:
    # At 3 s twenty of forty tokens were due, for 0 to 2 s: 20 token-seconds of 40 * 1 + 40 * 40 / 20.
    assert qoe(paced((3.0, 40))) == pytest.approx(1 - 20 / 120)
    # At 7 s all forty were: for 2 to 6 s.
    assert qoe(paced((7.0, 40))) == pytest.approx(1 - 160 / 120 if 160 < 120 else 0.0)


def test_the_longest_pause_counts_wherever_it_was() -> None:
    pace = paced((0.5, 10), (0.6, 11), (4.6, 12), (5.0, 13))
    assert pace.stall_s == pytest.approx(4.0)
    pace.ended(112.0)
    assert pace.stall_s == pytest.approx(7.0)


def test_before_the_first_content_there_is_no_pause() -> None:
    pace = paced((30.0, 1))
    pace.ended(130.0)
    assert pace.stall_s == 0.0
    waiting = paced()
    waiting.ended(200.0)
    assert waiting.stall_s == 0.0


def test_a_client_that_does_not_read_is_not_the_backends_fault() -> None:
    pace = Pace((TEN,), 100.0, 0.25)
    pace.saw(101.0, 40)
    pace.wrote(106.0)  # Five seconds in which we could not write, and did not read.
    pace.saw(107.0, 80)
    pace.wrote(107.0)
    assert pace.stall_s == pytest.approx(1.0) and qoe(pace) == 1.0
    pace.saw(107.1, 84)
    pace.ended(150.0)  # It left while we were writing.
    assert pace.stall_s == pytest.approx(1.0)


def test_several_timelines_are_watched_at_once() -> None:
    slow, fast = paced((3.0, 40), expected=((3.0, 5.0), (0.5, 50.0))).timelines()
    assert (slow.first_token_s, slow.tokens_per_s, slow.qoe) == (3.0, 5.0, 1.0)
    assert fast.qoe == 0.0


def test_tokens_are_learned_from_bytes_and_not_from_chunks() -> None:
    few, many = paced((1.0, 4), (9.0, 40)), paced((1.0, 4), (9.0, 20), (9.0, 21), (9.0, 40))
    assert qoe(few) == pytest.approx(qoe(many))
    assert qoe(paced((9.0, 40), tokens_per_byte=0.5)) == pytest.approx(qoe(paced((9.0, 40), tokens_per_byte=0.25)))
