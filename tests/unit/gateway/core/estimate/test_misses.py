"""How likely a promise is missed."""

from gateway.core.estimate.misses import KINDS_MAX, START, Misses


def test_what_was_never_seen_is_what_is_known_otherwise() -> None:
    misses = Misses()
    assert misses.expect("m", 1.0) == START
    assert misses.expect("m", 1.0, 0.3) == 0.3


def test_a_model_that_always_misses_is_believed_to_after_some_dozens_and_recovers_with_a_dozen() -> None:
    misses = Misses()
    seen = []
    for _ in range(60):
        misses.learn("m", "auto", missed=True)
        seen.append(misses.expect("m", "auto"))
    assert seen == sorted(seen) and seen[19] > 0.6 and seen[-1] > 0.95
    for _ in range(11):
        misses.learn("m", "auto", missed=False)
    assert 0.5 < misses.expect("m", "auto") < 0.6
    misses.learn("m", "auto", missed=False)
    assert misses.expect("m", "auto") == START


def test_every_second_miss_restores_nothing() -> None:
    misses = Misses()
    for i in range(200):
        misses.learn("m", "auto", missed=i % 2 == 0)
    assert 0.4 < misses.expect("m", "auto") < 0.6


def test_promises_and_models_are_told_apart() -> None:
    misses = Misses()
    misses.learn("m", 8.0, missed=True, otherwise=0.2)
    assert misses.expect("m", 8.0) == 0.2 + 0.8 / 20
    assert misses.expect("m", 1.0) == misses.expect("other", 8.0) == START


def test_memory_is_bounded_and_the_oldest_goes() -> None:
    misses = Misses()
    for i in range(KINDS_MAX + 1):
        misses.learn("m", i, missed=True)
    assert misses.expect("m", 0) == START and misses.expect("m", 1) > START
