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


def test_a_sealed_id_tells_its_time_to_who_has_the_secret_and_names_the_parts():
    chance, other = SystemChance(b"s" * 32), SystemChance(b"o" * 32)
    sealed = chance.sealed(chance.request_id(), 1_759_968_000.9, "acme", "auto")
    assert re.fullmatch(r"req_[0-9a-f]{24}", sealed)
    assert chance.opened(sealed, "acme", "auto") == 1_759_968_000.0
    assert chance.opened(sealed, "acme", "code") is None and chance.opened(sealed, "other", "auto") is None
    assert other.opened(sealed, "acme", "auto") is None
    forged = sealed[:4] + f"{1_759_968_001:08x}" + sealed[12:]
    assert chance.opened(forged, "acme", "auto") is None


def test_sealed_ids_of_one_second_differ():
    chance = SystemChance()
    assert len({chance.sealed(chance.request_id(), 5.0, "acme", "auto") for _ in range(1000)}) == 1000


def test_a_shared_secret_makes_processes_draw_and_seal_alike():
    one, other = SystemChance(), SystemChance()
    assert one.keyed("acme") != other.keyed("acme")
    other.share(one.secret)
    assert one.keyed("acme") == other.keyed("acme")
    assert other.opened(one.sealed("req_" + "a" * 24, 7.0, "acme"), "acme") == 7.0
