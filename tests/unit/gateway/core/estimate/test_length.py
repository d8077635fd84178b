"""Expected answer lengths."""

import pytest

from gateway.core.estimate import length
from gateway.core.estimate.length import Lengths


def test_it_starts_at_the_mean_of_a_public_trace_and_never_exceeds_the_clients_limit() -> None:
    lengths = Lengths()
    assert lengths.expect("auto", "weak", None) == 211
    assert lengths.expect("auto", "weak", 16) == 16 and lengths.expect("auto", "weak", 4000) == 211


def test_a_few_answers_move_it_and_a_change_is_followed_within_some_hundreds() -> None:
    lengths = Lengths()
    for _ in range(20):
        lengths.learn("auto", "weak", None, 50)
    assert lengths.expect("auto", "weak", None) == pytest.approx(82, abs=2)
    for _ in range(600):
        lengths.learn("auto", "weak", None, 900)
    assert lengths.expect("auto", "weak", None) > 850


def test_routes_models_and_limited_requests_are_learned_apart() -> None:
    lengths = Lengths()
    for _ in range(500):
        lengths.learn("auto", "weak", 20, 12)
    assert lengths.expect("auto", "weak", 4000) < 30
    assert [lengths.expect(*kind) for kind in (("auto", "weak", None), ("auto", "strong", 4000), ("code", "weak", 4000))] == [211] * 3


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "KINDS_MAX", 3)
    lengths = Lengths()
    for i in range(9):
        lengths.learn(f"r{i}", "m", None, 5)
    assert len(lengths._kinds) == 3
