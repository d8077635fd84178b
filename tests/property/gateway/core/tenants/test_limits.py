"""Limits never grant more than the bucket held and what has run in since."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.tenants.limits import LACKING, Draw, LimitState
from gateway.core.tenants.scope import limits_of
from gateway.domain.catalog import Limits, Tenant
from gateway.domain.decision import Shed

ASKS = st.lists(st.tuples(st.floats(0.0, 30.0), st.integers(0, 900), st.floats(0.0, 0.5)), max_size=80)


class Alone:
    """One process that has its buckets to itself."""

    def __init__(self) -> None:
        self.state = LimitState()
        self.last: tuple[Draw, int] | None = None

    def take(self, tenant: str, limits: Limits, tokens: int, now_s: float, wall_s: float, usd: float = 0.0) -> Shed | None:
        draw = self.state.draw(limits_of(Tenant(tenant, (), "standard", limits), None, "strong"), tokens, usd, now_s)
        answer = self.state.take(draw, now_s, wall_s)
        assert answer is not LACKING
        if answer is None:
            self.last = (draw, tokens)
        return answer if isinstance(answer, Shed) else None

    def settle(self, tokens_delta: int) -> None:
        assert self.last is not None
        self.state.settle(self.last[0], self.last[1] + tokens_delta, 0.0)


@given(ASKS, st.integers(1, 40), st.integers(900, 3000))
def test_over_any_stretch_of_time_grants_stay_within_the_limit(asks: list[tuple[float, int, float]], rpm: int, tpm: int) -> None:
    state, limits, now_s = Alone(), Limits(rpm=rpm, tpm=tpm, usd_per_day=3.0), 0.0
    granted: list[tuple[float, int, float]] = []
    for later_s, tokens, usd in asks:
        now_s += later_s
        if state.take("acme", limits, tokens, now_s, 1e9 + now_s, usd) is None:
            granted.append((now_s, tokens, usd))
    for i, (start_s, _, _) in enumerate(granted):
        for j in range(i, len(granted)):
            minutes = 1 + (granted[j][0] - start_s) / 60
            assert j - i + 1 <= rpm * minutes + 1e-6
            assert sum(t for _, t, _ in granted[i : j + 1]) <= tpm * minutes + 1e-6
    assert sum(u for _, _, u in granted) <= 3.0 + 1e-9


@given(ASKS)
def test_who_waits_as_long_as_told_gets_through(asks: list[tuple[float, int, float]]) -> None:
    state, limits, now_s = Alone(), Limits(rpm=10, tpm=1000), 0.0
    for later_s, tokens, _ in asks:
        now_s += later_s
        waits = 0
        while (shed := state.take("acme", limits, tokens, now_s, 0.0)) is not None:
            now_s += shed.retry_after_s
            waits += 1
            assert waits <= 2, "one wait for each of the two limits is enough"


@given(st.lists(st.tuples(st.integers(1, 500), st.integers(-500, 500)), max_size=40))
def test_settling_moves_grants_by_what_was_used(uses: list[tuple[int, int]]) -> None:
    state, limits, used = Alone(), Limits(tpm=2000), 0
    for estimate, delta in uses:
        if state.take("acme", limits, estimate, 0.0, 0.0) is None:
            assert used < 2000
            state.settle(max(delta, -estimate))
            used += estimate + max(delta, -estimate)
