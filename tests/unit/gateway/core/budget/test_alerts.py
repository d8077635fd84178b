"""Which tier a budget is in, and what does not change it."""

import pytest

from gateway.core.budget.alerts import Alerts
from gateway.core.budget.burn import LONG_WINDOWS_S, WINDOWS_S
from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slo import DAY_S, Slo, SloSpec
from gateway.domain.reading import Reading

LENGTH_S = 28 * DAY_S
SLO = Slo.of(SloSpec("availability", "availability", Availability.Options(), 0.999, LENGTH_S))
ROUTE = Slo.of(SloSpec("auto", "availability", Availability.Options(), 0.999, LENGTH_S, route="auto"))
LONGEST = Reading(100, 100_000, LONG_WINDOWS_S["30d"])


def read(**known: tuple[float, float]) -> dict[str, Reading]:
    """Return readings of all windows; what is not given is as the next shorter one, the month is as it should be."""
    last, made = (0.0, 0.0), {}
    for name, length_s in WINDOWS_S.items():
        last = known.get(f"w{name}", last)
        made[name] = Reading(*last, length_s)
    return made | {"28d": Reading(100, 100_000, LONG_WINDOWS_S["28d"]), "30d": LONGEST}


def test_an_outage_pages_and_its_end_is_seen_by_the_short_window() -> None:
    alerts = Alerts()
    assert alerts.look(SLO, read(w5m=(0, 500)), None, LENGTH_S) is None
    assert alerts.look(SLO, read(w5m=(250, 500), w1h=(250, 6000)), None, LENGTH_S) == "page"
    assert alerts.look(SLO, read(w5m=(0, 500), w30m=(0, 3000), w1h=(250, 6000), w2h=(0, 9000), w6h=(0, 9000)), None, LENGTH_S) is None


def test_a_slow_burn_is_a_ticket() -> None:
    slow = read(w5m=(0, 500), w2h=(50, 12_000), w6h=(150, 36_000), w1d=(600, 144_000), w3d=(600, 432_000))
    assert Alerts().look(SLO, slow, None, LENGTH_S) == "ticket"


def test_silence_changes_nothing() -> None:
    alerts, burning = Alerts(), read(w5m=(250, 500), w1h=(250, 6000))
    assert alerts.look(SLO, burning, None, LENGTH_S) == "page"
    assert alerts.look(SLO, read(w5m=(0, 0), w30m=(0, 0), w1h=(250, 6000)), None, LENGTH_S) == "page"
    fresh = Alerts()
    assert fresh.look(SLO, read(), None, LENGTH_S) is None


@pytest.mark.parametrize("n", [1, 2, 10, 30, 69])
def test_one_failure_at_low_traffic_changes_no_tier(n: int) -> None:
    """n < 1/(14.4 b), where a plain ratio would page at once."""
    alerts = Alerts()
    assert alerts.look(SLO, read(w5m=(1, min(n, 5)), w1h=(1, n)), None, LENGTH_S) is None


def test_a_small_route_is_steadied_by_the_fleet() -> None:
    failing, well = read(w5m=(6, 12), w1h=(6, 12)), read(w5m=(0, 9000), w1h=(10, 90_000))
    ill = read(w5m=(1800, 9000), w1h=(9000, 90_000))
    few = read(w5m=(5, 60), w30m=(5, 3000), w1h=(5, 90), w2h=(5, 20_000))
    assert Alerts().look(ROUTE, few, well, LENGTH_S) is None  # 5 of 460 are not beyond 13.44 x 0.001.
    assert Alerts().look(ROUTE, failing, ill, LENGTH_S) == "page"


def test_a_tier_that_is_on_stays_on_while_it_burns_though_evidence_thins_out() -> None:
    alerts = Alerts()
    assert alerts.look(SLO, read(w5m=(250, 500), w1h=(250, 6000)), None, LENGTH_S) == "page"
    thin = read(w5m=(20, 100), w30m=(20, 30_000), w1h=(100, 7000), w2h=(0, 9000), w6h=(50, 90_000))
    assert alerts.look(SLO, thin, None, LENGTH_S) == "page" and Alerts().look(SLO, thin, None, LENGTH_S) is None


def test_budgets_are_told_apart() -> None:
    alerts = Alerts()
    assert alerts.look(SLO, read(w5m=(250, 500), w1h=(250, 6000)), None, LENGTH_S) == "page"
    assert alerts.look(ROUTE, read(w5m=(0, 500)), None, LENGTH_S) is None
    assert alerts.look(SLO, read(w5m=(0, 0), w1h=(250, 6000)), None, LENGTH_S) == "page"
