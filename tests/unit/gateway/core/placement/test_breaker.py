"""The breaker's story, second by second."""

from gateway.core.placement.breaker import CLOSED, HALF_OPEN, OPEN, Breaker


def opened(at_s: float = 10.0) -> Breaker:
    breaker = Breaker()
    for _ in range(3):
        breaker.sent(at_s - 1.0)
        breaker.failed(at_s)
    assert breaker.state is OPEN
    return breaker


def test_three_failures_in_a_row_open_it_and_a_success_in_between_starts_the_count_anew() -> None:
    breaker = Breaker()
    breaker.failed(1.0)
    breaker.failed(2.0)
    breaker.succeeded(3.0)
    breaker.failed(4.0)
    breaker.failed(5.0)
    assert breaker.may_send(5.0)
    breaker.failed(6.0)
    assert not breaker.may_send(6.0)


def test_two_refused_connections_are_enough() -> None:
    breaker = Breaker()
    breaker.failed(1.0, unreachable=True)
    assert breaker.state is CLOSED
    breaker.failed(1.1, unreachable=True)
    assert breaker.state is OPEN


def test_an_unreachable_one_after_an_ordinary_failure_is_still_one() -> None:
    breaker = Breaker()
    breaker.failed(1.0)
    breaker.failed(1.1, unreachable=True)
    assert breaker.state is CLOSED


def test_two_failed_health_probes_in_a_row_open_it_but_not_around_a_good_answer() -> None:
    breaker = Breaker()
    breaker.probed(False, 1.0)
    breaker.succeeded(1.5)
    breaker.probed(False, 2.0)
    assert breaker.state is CLOSED
    breaker.probed(False, 3.0)
    assert breaker.state is OPEN


def test_after_two_seconds_one_trial_at_a_time_and_four_good_ones_close_it() -> None:
    breaker = opened(10.0)
    assert not breaker.may_send(11.99)
    for at_s in (12.0, 13.0, 14.0, 15.0):
        assert breaker.may_send(at_s)
        breaker.sent(at_s)
        assert not breaker.may_send(at_s)
        assert breaker.may_send(at_s, forced=True)
        breaker.succeeded(at_s + 0.5, at_s)
    assert breaker.state is CLOSED


def test_each_failed_trial_doubles_the_wait_up_to_thirty_seconds_and_closing_forgets_it() -> None:
    breaker, at_s, waits = opened(0.0), 0.0, []
    for _ in range(6):
        waits.append(breaker.wait_s(at_s))
        at_s += waits[-1]
        assert breaker.may_send(at_s)
        breaker.sent(at_s)
        breaker.failed(at_s)
    assert waits == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert breaker.may_send(at_s + 30.0)
    for _ in range(4):
        breaker.succeeded(at_s + 31.0)
    assert breaker.state is CLOSED
    for _ in range(3):
        breaker.failed(at_s + 40.0)
    assert breaker.wait_s(at_s + 40.0) == 2.0


def test_a_passed_health_probe_ends_the_wait_and_two_good_trials_then_close_it() -> None:
    breaker = opened(10.0)
    breaker.probed(True, 10.5)
    assert breaker.state is HALF_OPEN and breaker.may_send(10.5)
    breaker.succeeded(11.0)
    assert breaker.state is HALF_OPEN
    breaker.succeeded(11.5)
    assert breaker.state is CLOSED


def test_a_server_that_passes_probes_and_fails_requests_is_not_believed_twice() -> None:
    breaker = opened(10.0)
    breaker.probed(True, 10.5)
    breaker.sent(10.6)
    breaker.failed(10.7, sent_s=10.6)
    breaker.probed(True, 11.0)
    assert breaker.state is OPEN and not breaker.may_send(14.6)
    assert breaker.may_send(14.7)


def test_streams_that_die_with_their_backend_do_not_reopen_it_after_the_repair() -> None:
    breaker = opened(10.0)
    breaker.probed(True, 11.0)
    breaker.failed(11.1, sent_s=9.0)
    breaker.succeeded(11.2, sent_s=9.5)
    assert breaker.state is HALF_OPEN
    breaker.succeeded(11.3, sent_s=11.0)
    breaker.succeeded(11.4, sent_s=11.1)
    for _ in range(5):
        breaker.failed(12.0, unreachable=True, sent_s=9.9)
    assert breaker.state is CLOSED


def test_told_to_come_back_later_is_obeyed_and_is_no_failure() -> None:
    breaker = Breaker()
    for _ in range(5):
        breaker.limited(20.0)
    assert breaker.state is CLOSED and not breaker.may_send(19.9) and breaker.wait_s(15.0) == 5.0
    breaker.limited(18.0)
    assert not breaker.may_send(19.9) and breaker.may_send(20.0)


def test_a_trial_without_a_verdict_frees_its_place() -> None:
    breaker = opened(10.0)
    assert breaker.may_send(12.0)
    breaker.sent(12.0)
    breaker.released(12.0)
    assert breaker.may_send(12.1)
    breaker.sent(12.1)
    assert not breaker.may_send(42.0) and breaker.may_send(42.1)
