"""Cost: dollars of a period.

Theory: not an event ratio but a sum; its budget is dollars, its burn is dollars per second over budget per second. A
request's dollars are known when it ends (tokens reported by the backend, or estimated and marked so); until then they
are reserved at the expected amount. What all attempts used counts, failed ones with their input.
Shown by `tests/unit/.../slis/test_cost.py` and the simulations.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation
from gateway.domain.units import Usd


class Cost:
    """A sum of dollars; never judges a request as good or bad."""

    kind: ClassVar[str] = "cost"
    unit: ClassVar[str] = "mean request values per allowance"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Section `sli` of kind cost."""

        usd: Usd
        """The budget of one period (or rolling window), dollars. Raising it buys more of the strong model."""
        forecast_requests: float | None = None
        """Requests expected in one period; none: the recent rate times the remaining time."""
        forecast_hourly: tuple[float, ...] | None = None
        """Shape of the forecast: requests of each equal part of the period, summing to `forecast_requests`."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return None: dollars are booked as an amount."""
        return None

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Expected dollars."""
        return expectation.usd
