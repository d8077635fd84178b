import re

import pytest

from gateway.edges.chance import SystemChance


def test_request_ids_are_unique_and_of_one_form():
    chance = SystemChance()
    ids = [chance.request_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert all(re.fullmatch(r"req_[0-9a-f]{24}", i) for i in ids)


def test_a_keyed_draw_is_the_same_for_the_same_parts_and_another_for_others():
    chance = SystemChance(b"s" * 32)
    assert chance.keyed("acme", "chat") == SystemChance(b"s" * 32).keyed("acme", "chat")
    assert chance.keyed("acme", "chat") != chance.keyed("acme", "chat2")
    assert chance.keyed("ab", "c") != chance.keyed("a", "bc")


def test_without_the_secret_a_draw_cannot_be_foretold():
    assert SystemChance(b"a" * 32).keyed("acme") != SystemChance(b"b" * 32).keyed("acme")


def test_keyed_draws_fill_the_unit_interval_evenly():
    chance = SystemChance(b"s" * 32)
    draws = [chance.keyed("t", str(i)) for i in range(4000)]
    assert all(0.0 <= d < 1.0 for d in draws)
    assert sum(draws) / len(draws) == pytest.approx(0.5, abs=0.02)


def test_any_text_can_be_a_part():
    assert 0.0 <= SystemChance().keyed("\udc80", "\x00", "é") < 1.0


def test_jitter_lies_in_the_unit_interval():
    chance = SystemChance()
    assert all(0.0 <= chance.uniform() < 1.0 for _ in range(100))
