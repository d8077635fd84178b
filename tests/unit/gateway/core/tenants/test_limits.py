"""Hard limits of one tenant, second by second: first in one process, then with the store between take and take."""

import pytest

from gateway.core.tenants import limits as limits_module
from gateway.core.tenants.lease import Lease
from gateway.core.tenants.limits import LACKING, Draw, LimitState
from gateway.core.tenants.scope import limits_of
from gateway.core.tenants.vault import LEASE_S, Vault
from gateway.domain.catalog import Limits, Tenant
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason
from gateway.domain.limit import Limit, LimitKind

DAY_S = 86_400.0
NOON = 20_000 * DAY_S + DAY_S / 2


class Alone:
    """One process that has its buckets to itself."""

    def __init__(self) -> None:
        self.state = LimitState()
        self._last: dict[str, tuple[Draw, int, float]] = {}

    def take(self, tenant: str, limits: Limits, tokens: int, now_s: float, wall_s: float, usd: float = 0.0) -> Shed | None:
        draw = self.state.draw(limits_of(Tenant(tenant, (), "standard", limits), None, "strong"), tokens, usd, now_s)
        answer = self.state.take(draw, now_s, wall_s)
        assert answer is not LACKING
        if answer is None:
            self._last[tenant] = (draw, tokens, usd)
        return answer if isinstance(answer, Shed) else None

    def settle(self, tenant: str, tokens_delta: int, usd_delta: float) -> None:
        """Correct the last request that was granted."""
        draw, tokens, usd = self._last[tenant]
        self._last[tenant] = (draw, tokens + tokens_delta, usd + usd_delta)
        self.state.settle(draw, tokens + tokens_delta, usd + usd_delta)


def test_without_limits_nothing_is_counted_or_refused() -> None:
    state = Alone()
    assert all(state.take("acme", Limits(), 10**9, 0.0, NOON, 1e9) is None for _ in range(3))


def test_a_minutes_requests_may_come_at_once_and_the_next_waits_exactly_its_turn() -> None:
    state, limits = Alone(), Limits(rpm=60)
    assert all(state.take("acme", limits, 1, 0.0, NOON) is None for _ in range(60))
    shed = state.take("acme", limits, 1, 0.25, NOON)
    assert shed is not None and shed.reason is Reason.LIMIT_REQUESTS and shed.retry_after_s == pytest.approx(0.75)
    assert state.take("acme", limits, 1, 0.25 + shed.retry_after_s, NOON) is None


def test_tokens_are_taken_as_estimated_and_settled_as_used() -> None:
    state, limits = Alone(), Limits(tpm=6000)
    assert state.take("acme", limits, 4000, 0.0, NOON) is None
    shed = state.take("acme", limits, 3000, 0.0, NOON)
    assert shed is not None and shed.reason is Reason.LIMIT_TOKENS and shed.retry_after_s == pytest.approx(10.0)
    state.settle("acme", -1000, 0.0)
    assert state.take("acme", limits, 3000, 0.0, NOON) is None
    state.settle("acme", +600, 0.0)
    shed = state.take("acme", limits, 100, 0.0, NOON)
    assert shed is not None and shed.retry_after_s == pytest.approx(7.0)


def test_a_request_larger_than_the_bucket_passes_a_full_one_and_leaves_a_debt() -> None:
    state, limits = Alone(), Limits(tpm=600)
    assert state.take("acme", limits, 1800, 0.0, NOON) is None
    shed = state.take("acme", limits, 1, 0.0, NOON)
    assert shed is not None and shed.retry_after_s == pytest.approx(120.1)
    assert state.take("acme", limits, 1800, 179.0, NOON) is not None
    assert state.take("acme", limits, 1800, 180.0, NOON) is None


def test_dollars_are_counted_by_the_day_of_utc() -> None:
    state, limits = Alone(), Limits(usd_per_day=1.0)
    assert state.take("acme", limits, 1, 0.0, NOON, usd=0.6) is None
    shed = state.take("acme", limits, 1, 1.0, NOON + 1, usd=0.6)
    assert shed is not None and shed.reason is Reason.LIMIT_USD and shed.retry_after_s == DAY_S / 2 - 1
    state.settle("acme", 0, -0.3)
    assert state.take("acme", limits, 1, 2.0, NOON + 2, usd=0.6) is None
    state.settle("acme", 0, 0.2)
    assert state.take("acme", limits, 1, 3.0, NOON + 3) is not None
    assert state.take("acme", limits, 1, 4.0, NOON + DAY_S / 2, usd=0.6) is None


def test_a_refusal_uses_nothing_up() -> None:
    state, limits = Alone(), Limits(rpm=2, tpm=100, usd_per_day=1.0)
    assert state.take("acme", limits, 60, 0.0, NOON, usd=0.1) is None
    for _ in range(5):
        shed = state.take("acme", limits, 60, 0.0, NOON, usd=0.1)
        assert shed is not None and shed.reason is Reason.LIMIT_TOKENS
    assert state.take("acme", limits, 40, 0.0, NOON, usd=0.1) is None
    (usd,) = [lease for (_, name), lease in state.state._leases.items() if name == "tenant/usd"]
    assert usd.used == 200_000_000


def test_tenants_do_not_share_and_a_limit_of_nothing_lets_nothing_through() -> None:
    state = Alone()
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is None and state.take("other", Limits(rpm=1), 1, 0.0, NOON) is None
    nothing = {Reason.LIMIT_REQUESTS: Limits(rpm=0), Reason.LIMIT_TOKENS: Limits(tpm=0), Reason.LIMIT_USD: Limits(usd_per_day=0.0)}
    for reason, none in nothing.items():
        shed = state.take("nobody", none, 5, 0.0, NOON)
        assert shed is not None and shed.reason is reason and shed.retry_after_s > 0


def test_a_lower_limit_counts_at_once_and_a_higher_one_fills_from_now_on() -> None:
    state = Alone()
    assert state.take("acme", Limits(rpm=600), 1, 0.0, NOON) is None
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is None
    assert state.take("acme", Limits(rpm=1), 1, 0.0, NOON) is not None
    assert state.take("acme", Limits(rpm=600), 1, 0.0, NOON) is not None
    assert state.take("acme", Limits(rpm=600), 1, 0.1, NOON) is None


def test_memory_is_bounded_by_the_configuration_and_in_any_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits_module, "LEASES_MAX", 5)
    state = Alone()
    for i in range(8):
        state.take(f"t{i}", Limits(rpm=1), 1, 0.0, NOON)
    assert len(state.state._leases) == 5
    state.state.retain({"t7": {"tenant/requests"}, "t6": set()})
    assert list(state.state._leases) == [("t7", "tenant/requests")]
    state.settle("t6", 5, 1.0)


# -- with a store ----------------------------------------------------------------------------------------------------

RPM = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 600, 10.0, "600 requests per minute")
FEW = Limit("acme", "tenant/requests", LimitKind.REQUESTS, 2, 2 / 60, "2 requests per minute")
TPM = Limit("acme", "tenant/tokens", LimitKind.TOKENS, 6000, 100.0, "6000 tokens per minute")


class Shared:
    """One replica of several; the store answers when the test says so."""

    def __init__(self, *vaults: Vault, name: str = "one") -> None:
        self.limits, self.name = LimitState(), name
        self.limits.share_with_others()
        self.vaults = dict(zip(("tenant/requests", "tenant/tokens"), vaults, strict=False))

    def draw(self, *limits: Limit, tokens: int = 100, now_s: float = 0.0) -> Draw:
        return self.limits.draw(limits, tokens, 0.0, now_s)

    def take(self, draw: Draw, now_s: float = 0.0, was_asked: bool = False) -> object:
        return self.limits.take(draw, now_s, NOON + now_s, was_asked)

    def call(self, leases: list[tuple[Lease, int]], now_s: float = 0.0, is_wanting: bool = False) -> None:
        asks = [lease.ask(now_s, units, units, is_wanting) for lease, units in leases]
        answers = [self.vaults[ask.limit.name].answer(ask, self.name, now_s, 0) for ask in asks]
        self.limits.hear(zip([lease for lease, _ in leases], asks, answers, strict=True), now_s, now_s, NOON + now_s)

    def pass_one(self, *limits: Limit, now_s: float = 0.0, tokens: int = 100) -> object:
        draw = self.draw(*limits, tokens=tokens, now_s=now_s)
        if (answer := self.take(draw, now_s)) is LACKING:
            self.call(draw.lacking, now_s, is_wanting=True)
            answer = self.take(draw, now_s, was_asked=True)
        return answer


def test_what_is_not_at_hand_is_lacking_until_the_store_was_asked_and_then_taken() -> None:
    one = Shared(Vault("v"))
    draw = one.draw(RPM)
    assert one.take(draw) is LACKING and not draw.is_taken
    assert [(lease.limit, units) for lease, units in draw.lacking] == [(RPM, 1)]
    one.call(draw.lacking)
    assert one.take(draw, was_asked=True) is None and draw.is_taken


def test_a_limit_known_to_be_used_up_refuses_without_asking_until_enough_has_run_in() -> None:
    one = Shared(Vault("v"))
    assert one.pass_one(FEW) is None and one.pass_one(FEW) is None
    shed = one.take(one.draw(FEW))
    assert isinstance(shed, Shed) and shed.retry_after_s == pytest.approx(30.0)
    assert isinstance(one.take(one.draw(FEW), 29.9), Shed)
    assert one.take(one.draw(FEW), 30.0) is LACKING and one.pass_one(FEW, now_s=30.0) is None


def test_two_replicas_share_what_there_is_to_the_last_unit() -> None:
    vault = Vault("v")
    one, two = Shared(vault), Shared(vault, name="two")
    assert [one.pass_one(FEW), two.pass_one(FEW)] == [None, None]
    assert isinstance(one.pass_one(FEW), Shed) and isinstance(two.pass_one(FEW), Shed)


def test_what_was_granted_for_a_request_that_another_limit_refuses_goes_back() -> None:
    requests, tokens = Vault("r"), Vault("t")
    one, two = Shared(requests, tokens), Shared(requests, tokens, name="two")
    assert two.pass_one(TPM, tokens=6000) is None
    assert isinstance(one.pass_one(FEW, TPM, tokens=500), Shed)
    (lease,) = [lease for lease in one.limits.due(0.0) if lease.limit is FEW]
    assert lease.balance == 0
    one.call([(lease, 0)])
    assert requests.level == 2.0


def test_who_comes_later_does_not_overtake_those_who_wait() -> None:
    one = Shared(Vault("v"))
    assert one.pass_one(RPM) is None
    first = one.draw(RPM)
    lease = first.needs[0][0]
    one.call([(lease, 1)])
    lease.pending += 1
    assert one.take(one.draw(RPM)) is LACKING
    assert one.take(first, was_asked=True) is None


def test_a_busy_lease_is_refilled_before_it_is_empty() -> None:
    one = Shared(Vault("v"))
    now_s, waited, called = 0.0, 0, 0
    for _ in range(200):
        now_s += 0.2
        draw = one.draw(RPM, now_s=now_s)
        if one.take(draw, now_s) is LACKING:
            waited += 1
            one.call(draw.lacking, now_s, is_wanting=True)
            assert one.take(draw, now_s, was_asked=True) is None
        due = one.limits.due(now_s)
        called += bool(due)
        one.call([(lease, 0) for lease in due], now_s, is_wanting=True)
    assert waited <= 5 and called <= 60


def test_an_idle_lease_goes_back_after_half_its_time_and_a_silent_one_is_never_used() -> None:
    vault = Vault("v")
    one = Shared(vault)
    for i in range(40):
        one.pass_one(RPM, now_s=i / 10)
    (lease,) = one.limits.held()
    assert lease.balance > 0 and one.limits.due(5.0) in ([], [lease])
    one.limits.again([])
    due = one.limits.due(4.0 + LEASE_S / 2 + 2.0)
    assert due == [lease]
    one.call([(lease, 0)], 21.0)
    assert lease.balance == 0 and vault.out == 0
    assert not one.limits.held()


def test_a_limit_that_was_taken_away_and_comes_back_is_another_holder_with_totals_of_its_own() -> None:
    one = Shared(Vault("v"))
    assert one.pass_one(RPM) is None
    one.limits.retain({})
    draw = one.draw(RPM)
    asks = [lease.ask(0.0, units, units) for lease, units in draw.lacking or draw.needs]
    assert [(ask.seq, ask.heard, ask.lease) for ask in asks] == [(1, 0, 2)]


def test_idle_leases_are_not_looked_through() -> None:
    one = Shared(Vault("v"))
    assert one.pass_one(FEW) is None
    assert one.limits.due(2.0) == [] and not one.limits._open


def test_without_store_an_unexpired_lease_is_used_up_and_then_this_replicas_share() -> None:
    vault = Vault("v")
    one, two = Shared(vault), Shared(vault, name="two")
    for i in range(40):
        assert one.pass_one(RPM, now_s=i / 10) is None and two.pass_one(RPM, now_s=i / 10) is None
    one.limits.is_away = True
    served, now_s = 0, 4.0
    while one.take(one.draw(RPM, now_s=now_s), now_s) is None:
        served += 1
    assert served == pytest.approx(vault.level / 2, rel=0.1)
    shed = one.take(one.draw(RPM, now_s=now_s), now_s)
    assert isinstance(shed, Shed) and shed.retry_after_s < 0.3
    assert one.take(one.draw(RPM, now_s=now_s + shed.retry_after_s), now_s + shed.retry_after_s) is None
    tiny = Limit("acme", "tenant/tokens", LimitKind.TOKENS, 1, 1 / 3600, "1 tokens per hour")
    refused = [one.take(one.draw(tiny, now_s=now_s, tokens=1), now_s) for _ in range(2)]
    assert isinstance(refused[1], Shed) and refused[1].retry_after_s == 5.0, "the store may be back before a share has filled"
    (lease,) = [lease for lease in one.limits.held() if lease.limit is RPM]
    level = vault.level
    one.call([(lease, 0)], now_s + 0.2)
    assert not one.limits.is_away and lease.balance < 0
    one.call([(lease, 0)], now_s + 0.2)
    assert vault.level == pytest.approx(level - served, abs=12)


def test_a_request_that_moves_to_another_model_takes_from_that_models_limits_and_leaves_the_first_ones() -> None:
    tenant = Tenant("acme", (), "standard", Limits(rpm=10), model_limits={"strong": Limits(rpm=5, tpm=900), "weak": Limits(rpm=1)})
    state = LimitState()
    strong, weak = limits_of(tenant, None, "strong"), limits_of(tenant, None, "weak")
    draw = state.draw(strong, 300, 0.0, 0.0)
    assert state.take(draw, 0.0, NOON) is None
    assert state.move(draw, weak, "weak", 300, 0.0, 0.0, was_sent=False)
    left = {lease.limit.name: lease.used for lease in state._leases.values()}
    assert left == {"tenant/requests": 1, "model:strong/requests": 0, "model:strong/tokens": 0, "model:weak/requests": 1}
    other = state.draw(strong, 300, 0.0, 0.0)
    assert state.take(other, 0.0, NOON) is None
    assert not state.move(other, weak, "weak", 300, 0.0, 0.0, was_sent=True)
    assert state.move(other, limits_of(tenant, None, "third"), "third", 300, 0.0, 0.0, was_sent=True)
    left = {lease.limit.name: lease.used for lease in state._leases.values()}
    assert left["model:strong/requests"] == 1 and left["model:strong/tokens"] == 0 and left["tenant/requests"] == 2


def test_clients_are_told_the_tightest_limit_of_each_kind() -> None:
    tenant = Tenant("acme", (), "standard", Limits(rpm=60, usd_per_day=1.0), model_limits={"strong": Limits(rpm=6)})
    state = LimitState()
    limits = limits_of(tenant, None, "strong")
    for _ in range(2):
        assert state.take(state.draw(limits, 10, 0.25, 0.0), 0.0, NOON) is None
    assert state.standing(limits, 0.0, NOON) == [
        (LimitKind.REQUESTS, 6, 4, pytest.approx(20.0)),
        (LimitKind.USD, 10**9, 5 * 10**8, DAY_S / 2),
    ]


def test_what_is_only_not_at_hand_is_no_refusal_by_the_limit() -> None:
    """Another model's units that nobody has fetched yet: the request goes elsewhere, but the limit was not used up."""
    state = LimitState()
    state.share_with_others()
    draw = state.draw(limits_of(Tenant("acme", (), "standard", Limits(rpm=60)), None, "strong"), 0, 0.0, 0.0)
    assert isinstance(state.take(draw, 0.0, NOON, was_asked=True), Shed)
    assert [lease.refused for lease in state.leases] == [0] and state.refused[LimitKind.REQUESTS] == 0
