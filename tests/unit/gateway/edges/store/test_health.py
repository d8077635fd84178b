"""Health: silence ends with any answer, a refusal only with a write that succeeds."""

from gateway.edges.store.health import StoreHealth


def test_silence_ends_with_the_next_answer_and_keeps_its_reason() -> None:
    health = StoreHealth()
    assert not health.is_away
    health.troubled("no answer", 100.0, is_refusal=False)
    health.troubled("still no answer", 105.0, is_refusal=False)
    assert (health.is_away, health.away_since_wall_s, health.last_error) == (True, 100.0, "still no answer")
    health.answered(was_write=False)
    assert (health.is_away, health.away_since_wall_s, health.last_error) == (False, None, "still no answer")


def test_a_full_store_is_away_although_it_can_be_read() -> None:
    health = StoreHealth()
    health.troubled("full", 100.0, is_refusal=True)
    health.answered(was_write=False)
    assert (health.is_away, health.away_since_wall_s) == (True, 100.0)
    health.answered(was_write=True)
    assert not health.is_away


def test_a_store_that_was_full_and_then_died_is_reachable_again_but_still_full() -> None:
    health = StoreHealth()
    health.troubled("full", 100.0, is_refusal=True)
    health.troubled("no answer", 101.0, is_refusal=False)
    health.answered(was_write=False)
    assert health.is_away
    assert health.away_since_wall_s == 100.0


def test_fill_is_no_data_without_a_limit() -> None:
    assert StoreHealth().memory_fill is None
    assert StoreHealth(memory_used_bytes=5, memory_max_bytes=None).memory_fill is None
    assert StoreHealth(memory_used_bytes=5, memory_max_bytes=20).memory_fill == 0.25
