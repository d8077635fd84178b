"""Bills: what a model charges over what was expected at list prices, and since when.

Theory. Single bills scatter, prices change seldom and by much. An average over few bills carries the scatter into every decision (over
100 of them 6 %, which a freeze keeps for hours), one over many believes a new price late. So: a long average, and beside it two
cumulative sums (Page 1954) of how much better the bills are explained by a model dearer, or cheaper, by `STEP`:

    S += (y (1 - 1/R) - ln R) bills / scatter^2,  at least 0        y = min(billed/(expected factor), CLIP),  R = STEP or 1/STEP

the log-likelihood ratio of sums of gamma-distributed bills. When one exceeds what is sure enough, the factor becomes the ratio of
what was billed since that sum last was 0, the most likely moment of the change, and is averaged on from there. Bills are skewed, and
one that is five times as high as expected (one in 200) says more than any low one can: so dearer takes more evidence than cheaper, and a
tick's bills count `CLIP` at most.

Measured with the bills of 77,000 strong answers of the judge's world `steady`, two a tick (the former rule, averages of 100 and 20 bills,
in brackets): around a price that stays the factor scatters by 0.022 (0.048), and a change is seen twice a day where there is none
(never). A fall by a third is believed after 38 bills in the median and 54 in nine of ten cases (88, 117), a rise by half after 92 and
141 (93, 142), one to six times after 24 and 26 (24, 69). In `constant`, where lengths are not estimated and bills scatter by 0.85:
0.040 (0.081), eight times a day (3), 50 times with a scatter that is taken for 0.7. Shown by `tests/unit/.../test_bills.py`.
"""

from dataclasses import dataclass, field
from math import log
from typing import Any

FIRST = 100.0
"""List prices count as much as so many bills (source: judge/README.md)."""
BILLS_MAX = 500.0
"""Bills that are averaged: 0.7 / sqrt(2 x 500) is 2 %."""
SCATTER = 0.7
"""Standard deviation of a bill over what was expected, at least: of strong answers in the judge's worlds, single and in sums of up to a
hundred. More is learned; less is not believed, as a tick's sums show less than single bills have."""
VARIANCES_MAX = 25.0
"""What one tick counts at most when scatter is learned: five standard deviations."""
STEP = 1.3
"""Change that is looked for."""
SURE_DEARER, SURE_CHEAPER = 10.0, 5.0
"""Log-likelihoods that are enough."""
CLIP, LEAST = 2.5, 15.0
"""What a tick's bills count at most, in factors; and bills without which no change is believed."""
FACTOR_MIN = 0.01
"""A model that bills nothing still has a factor to be multiplied."""


@dataclass(slots=True)
class Evidence:
    """What speaks for a change, and what was billed since the first bill that does."""

    score: float = 0.0
    usd: float = 0.0
    expected_usd: float = 0.0
    bills: float = 0.0

    def weigh(self, times: float, ratio: float, variance: float, usd: float, expected_usd: float, bills: float) -> None:
        """Take in some bills, `ratio` times as high as the present factor says, for a change by `times`."""
        self.score += bills * (ratio * (1.0 - 1.0 / times) - log(times)) / variance
        if self.score <= 0.0:
            self.score = self.usd = self.expected_usd = self.bills = 0.0
        else:
            self.usd, self.expected_usd, self.bills = self.usd + usd, self.expected_usd + expected_usd, self.bills + bills


@dataclass(slots=True)
class Bills:
    """One model's."""

    factor: float = 1.0
    """Billed over expected dollars."""
    counted: float = FIRST
    """Bills that the factor rests on, at most `BILLS_MAX`."""
    variance: float = SCATTER**2
    """Of a bill over what was expected, averaged over `BILLS_MAX`."""
    dearer: Evidence = field(default_factory=Evidence)
    cheaper: Evidence = field(default_factory=Evidence)

    def take(self, bills: int, usd: float, expected_usd: float) -> None:
        """Take in some bills at once, what they charge and what was expected at list prices; more than none, any unit of money."""
        ratio = min(usd / expected_usd / self.factor, CLIP)
        variance = max(self.variance, SCATTER**2)
        self.dearer.weigh(STEP, ratio, variance, usd, expected_usd, bills)
        self.cheaper.weigh(1.0 / STEP, ratio, variance, usd, expected_usd, bills)
        is_dearer = self.dearer.score / SURE_DEARER > self.cheaper.score / SURE_CHEAPER
        change, sure = (self.dearer, SURE_DEARER) if is_dearer else (self.cheaper, SURE_CHEAPER)
        if change.score > sure and change.bills >= LEAST:
            self.factor, self.counted = change.usd / change.expected_usd, min(change.bills, BILLS_MAX)
            self.dearer, self.cheaper = Evidence(), Evidence()
        else:
            seen = min(bills * (usd / expected_usd / self.factor - 1.0) ** 2, VARIANCES_MAX * variance)
            self.variance += (seen - self.variance) * min(bills / BILLS_MAX, 1.0)
            self.counted = min(self.counted + bills, BILLS_MAX)
            self.factor += (usd / expected_usd - self.factor) * min(bills / self.counted, 1.0)
        self.factor = max(self.factor, FACTOR_MIN)

    def as_json(self) -> dict[str, float | list[float]]:
        """Return everything as plain data."""
        return {
            "factor": self.factor,
            "counted": self.counted,
            "variance": self.variance,
            "dearer": [self.dearer.score, self.dearer.usd, self.dearer.expected_usd, self.dearer.bills],
            "cheaper": [self.cheaper.score, self.cheaper.usd, self.cheaper.expected_usd, self.cheaper.bills],
        }

    @classmethod
    def of_json(cls, told: dict[str, Any]) -> "Bills":
        """Go on from what `as_json` returned."""
        return cls(told["factor"], told["counted"], told["variance"], Evidence(*told["dearer"]), Evidence(*told["cheaper"]))
