"""Whatever happens to a backend, an open breaker lets nothing through but trials."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.placement.breaker import OPEN, TRIAL_S, WAIT_S_MAX, Breaker

EVENTS = st.lists(
    st.tuples(st.sampled_from(["ok", "fail", "unreachable", "probe ok", "probe bad", "released"]), st.floats(0.0, 10.0)), max_size=80
)


@given(EVENTS)
def test_nothing_is_sent_while_open_and_one_trial_at_a_time_while_half_open(events: list[tuple[str, float]]) -> None:
    breaker, now_s, trial_s = Breaker(), 0.0, None
    for kind, later_s in events:
        now_s += later_s
        before = breaker.state
        wait_s = breaker.wait_s(now_s)
        may = breaker.may_send(now_s)
        if before is OPEN:
            assert may == (wait_s == 0.0)
            trial_s = None
        if may and breaker.state.value == "half_open":
            assert trial_s is None or now_s - trial_s >= TRIAL_S
        if may:
            breaker.sent(now_s)
            trial_s = now_s if breaker.state.value == "half_open" else None
        if kind == "ok":
            breaker.succeeded(now_s)
        elif kind in ("fail", "unreachable"):
            breaker.failed(now_s, kind == "unreachable")
        elif kind == "released":
            breaker.released()
        else:
            breaker.probed(kind == "probe ok", now_s)
        if kind in ("ok", "fail", "unreachable", "released") or breaker.state.value != "half_open" or before.value != "half_open":
            trial_s = None


@given(EVENTS)
def test_whatever_happened_it_is_tried_again_within_half_a_minute(events: list[tuple[str, float]]) -> None:
    breaker, now_s = Breaker(), 0.0
    for kind, later_s in events:
        now_s += later_s
        if breaker.may_send(now_s):
            breaker.sent(now_s)
        if kind == "ok":
            breaker.succeeded(now_s)
        elif kind in ("fail", "unreachable"):
            breaker.failed(now_s, kind == "unreachable")
        elif kind != "released":
            breaker.probed(kind == "probe ok", now_s)
    assert breaker.may_send(now_s + max(WAIT_S_MAX, TRIAL_S) + 1e-6)
