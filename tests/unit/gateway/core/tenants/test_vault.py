"""The shared side of one limit, call by call."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tenants.vault import GRACE_S, LEASE_S, SHARE, Vault
from gateway.domain.limit import Ask, Granted, Limit, LimitKind

RPM = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 600, 10.0, "600 requests per minute")
USD = Limit("acme", "tenant/usd", LimitKind.USD, 1000, 0.0, "little per day (UTC)")
FLOOR = 30


def ask(seq: int, heard: int = 0, used: int = 0, need: int = 0, want: int = 0, limit: Limit = RPM, born: str = "v", **more: int) -> Ask:
    least, carried, leaving = more.get("least", need), more.get("carried", 0), bool(more.get("leaving", 0))
    return Ask(limit, seq, heard, used, carried, born, need, least, want, more.get("floor", FLOOR), 0, leaving)


def test_a_grant_debits_at_once_and_spare_units_are_at_most_a_64th_of_what_is_left() -> None:
    vault = Vault("v")
    assert vault.answer(ask(1, need=1, want=50), "a", 0.0, 0) == Granted(1 + 599 // SHARE, 599 // SHARE, 600 - 1 - 599 // SHARE, 1, "v")
    assert vault.answer(ask(1, need=1, want=2), "b", 0.0, 0).granted == 3
    assert vault.out == 599 // SHARE + 2


def test_below_thirty_units_per_holder_nothing_is_kept_at_hand() -> None:
    vault = Vault("v")
    for i in range(20):
        assert vault.answer(ask(1, need=1, want=5), f"h{i}", 0.0, 0).held == 5
    granted = vault.answer(ask(1, need=1, want=5), "h20", 0.0, 0)
    assert (granted.granted, granted.held, granted.holders) == (1, 0, 21)


def test_nothing_runs_in_where_holders_have_it_at_hand() -> None:
    vault = Vault("v")
    held = vault.answer(ask(1, want=50, floor=1), "a", 0.0, 0).held
    assert held == 600 // SHARE
    assert vault.answer(ask(1), "b", 3600.0, 0).level == 600  # `a` is forgotten, and what it held counts as used.
    vault = Vault("v")
    vault.answer(ask(1, want=50, floor=1), "a", 0.0, 0)
    assert vault.answer(ask(1), "b", LEASE_S + GRACE_S - 1, 0).level == 600 - held


def test_what_was_used_a_moment_ago_has_not_run_in_again() -> None:
    vault = Vault("v")
    vault.answer(ask(1, want=9), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=9, used=9), "a", 20.0, 0).level == 591
    assert vault.answer(ask(3, heard=9, used=9), "a", 20.5, 0).level == 596


def test_an_answer_that_was_never_heard_is_taken_back_by_the_next_call() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=100), "a", 0.0, 0)
    assert vault.answer(ask(2, need=1), "a", 0.0, 0).level == 599


def test_a_call_that_comes_late_or_twice_changes_nothing() -> None:
    vault = Vault("v")
    first = vault.answer(ask(3, need=10), "a", 0.0, 0)
    assert vault.answer(ask(3, need=10), "a", 0.0, 0) == first
    assert vault.answer(ask(2, need=500), "a", 0.0, 0) == first
    assert vault.level == 590


def test_what_is_given_back_is_there_for_others() -> None:
    vault = Vault("v")
    vault.answer(ask(1, want=9), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=3, used=3), "a", 0.0, 0).level == 597
    assert vault.out == 0


def test_settlement_may_take_more_than_was_held_and_is_filled_before_anything_is_granted() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=590), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=590, used=620, need=1), "a", 0.0, 0) == Granted(620, 0, -20.0, 1, "v")
    assert vault.answer(ask(3, heard=620, used=620, need=1), "a", 2.0, 0).level == 0.0
    assert vault.answer(ask(4, heard=620, used=620, need=1), "a", 2.1, 0).granted == 621


def test_a_correction_of_what_was_taken_too_much_does_not_lift_the_whole_above_the_amount() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=300), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=300, used=50), "a", 60.0, 0).level == 350


def test_a_holder_that_comes_back_within_the_grace_settles_exactly_and_later_what_it_held_counts_as_used() -> None:
    vault = Vault("v")
    vault.answer(ask(1, want=9), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=2, used=2), "a", LEASE_S + GRACE_S - 0.1, 0).held == 0
    vault = Vault("v")
    vault.answer(ask(1, want=9, limit=USD), "a", 0.0, 0)
    vault.answer(ask(1, limit=USD), "b", LEASE_S + GRACE_S, 0)
    late = vault.answer(ask(2, heard=9, used=2, limit=USD), "a", 100.0, 0)
    assert (late.granted, late.held, late.level) == (2, 0, 991.0)


def test_a_vault_that_lost_everything_counts_what_its_holders_carry() -> None:
    vault = Vault("second")
    answer = vault.answer(ask(9, heard=500, used=480, carried=120, limit=USD, born="first"), "a", 0.0, 0)
    assert (answer.granted, answer.held, answer.level) == (500, 20, 880.0)
    vault = Vault("second")
    assert vault.answer(ask(9, heard=500, used=505, carried=100, limit=USD, born="first"), "a", 0.0, 0).level == 900.0


def test_a_vault_that_lost_its_last_second_is_put_right() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=100), "a", 0.0, 0)
    assert vault.answer(ask(5, heard=250, used=240), "a", 0.0, 0).level == 350 and vault.out == 10


def test_dollars_come_back_at_midnight_less_what_is_at_hand() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=900, limit=USD, want=5, floor=1), "a", 0.0, 7)
    assert vault.answer(ask(1, limit=USD), "b", 10.0, 7).level < 100
    vault.answer(ask(2, heard=901, used=900, limit=USD), "a", 11.0, 7)
    assert vault.answer(ask(2, limit=USD), "b", 12.0, 8).level == 999


def test_a_changed_limit_counts_at_once() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=400, limit=USD), "a", 0.0, 0)
    more = Limit("acme", "tenant/usd", LimitKind.USD, 1500, 0.0, "more per day (UTC)")
    assert vault.answer(ask(1, limit=more), "b", 1.0, 0).level == 1100
    assert vault.answer(ask(2, limit=USD), "b", 2.0, 0).level == 600


def test_where_not_all_is_to_be_had_some_of_those_who_wait_are_served() -> None:
    vault = Vault("v")
    vault.answer(ask(1, need=595), "a", 0.0, 0)
    assert vault.answer(ask(2, heard=595, used=595, need=8, least=2), "a", 0.0, 0).granted == 599
    assert vault.answer(ask(3, heard=599, used=599, need=8, least=8), "a", 0.0, 0).granted == 599


def test_one_request_larger_than_the_whole_passes_a_full_one() -> None:
    vault = Vault("v")
    assert vault.answer(ask(1, need=1800), "a", 0.0, 0).level == -1200
    assert vault.answer(ask(2, heard=1800, used=1800, need=1), "a", 120.0, 0).granted == 1800
    assert vault.answer(ask(3, heard=1800, used=1800, need=1), "a", 120.1, 0).granted == 1801


def test_what_others_hold_is_never_granted_again_to_who_asks_for_nearly_all() -> None:
    vault = Vault("v")
    held = vault.answer(ask(1, want=9, limit=USD, floor=1), "b", 0.0, 0).held
    assert held > 0 and vault.answer(ask(1, need=1000, limit=USD), "a", 0.0, 0).granted == 0
    assert vault.answer(ask(2, need=1000 - held, limit=USD), "a", 0.0, 0).granted == 1000 - held and vault.level == 0


def test_many_that_wait_do_not_pass_together_as_one_that_is_larger_than_the_whole() -> None:
    vault = Vault("v")
    assert vault.answer(ask(1, need=900, least=300), "a", 0.0, 0).granted == 600 and vault.level == 0


def test_who_leaves_is_no_holder_any_more() -> None:
    vault = Vault("v")
    vault.answer(ask(1, want=3), "a", 0.0, 0)
    vault.answer(ask(2, heard=0, used=0, leaving=1), "a", 1.0, 0)
    assert vault.answer(ask(1), "b", 1.0, 0).holders == 1 and vault.out == 0


MOVES = st.lists(
    st.tuples(st.sampled_from("abc"), st.floats(0, 40), st.integers(0, 30), st.integers(0, 30), st.floats(0, 1), st.booleans()), max_size=60
)


@given(MOVES, st.sampled_from([RPM, Limit("acme", "u", LimitKind.USD, 200, 0.0, "x")]))
def test_level_and_everything_at_hand_never_exceed_the_amount(moves: list[tuple[str, float, int, int, float, bool]], limit: Limit) -> None:
    """Holders that use a part of what they hold; some answers are lost, some calls come twice."""
    vault, now_s = Vault("v"), 0.0
    heard, used, seq, until_s = (dict.fromkeys("abc", 0.0) for _ in range(4))
    for name, later_s, need, want, part, is_lost in moves:
        now_s += later_s
        if now_s < until_s[name]:
            used[name] += int((heard[name] - used[name]) * part)
        seq[name] += 1
        told = ask(int(seq[name]), int(heard[name]), int(used[name]), need, want, limit, floor=1, least=need)
        answer = vault.answer(told, name, now_s, 0)
        if not is_lost:
            heard[name], until_s[name] = answer.granted, now_s + LEASE_S
            used[name] = answer.granted - answer.held  # Whoever waited has its units.
        assert vault.answer(told, name, now_s, 0) == answer
        at_hand = sum(heard[n] - used[n] for n in "abc" if now_s < until_s[n])
        assert vault.level + at_hand <= limit.amount + 1e-6
        assert answer.granted >= answer.held >= 0
        # Below zero it may fall when a forgotten holder comes back with what was counted as used already; never by a grant.
        assert vault.level >= -1e-6 or answer.granted <= told.heard


def test_an_impossible_floor_of_a_single_holder_gives_no_spare() -> None:
    assert Vault("v").answer(ask(1, need=1, want=9, floor=601), "a", 0.0, 0).held == 0
    assert Vault("v").answer(ask(1, need=1, want=9, floor=600), "a", 0.0, 0).held == pytest.approx(9)
