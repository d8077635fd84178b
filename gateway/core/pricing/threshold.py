"""The threshold α: from a gain in quality to a win rate and back, in this one place.

Theory. A calibrated router says with win rate p how probable it is that the strong model's answer is better;
G(p) = E[q_S - q_W | p] is the expected gain, strictly increasing. The strong model is worth its price when

    (v/v̄)(q_S a_S - q_W a_W)  >  Σ price_j (r_{j,S} - r_{j,W})

and for a gain g = q_S - q_W this is g > needed, so α = G⁻¹(needed), clipped to [0, 1]. Source: DESIGN section 2.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from itertools import pairwise

from gateway.core.pricing.card import Card
from gateway.core.pricing.terms import Terms


@dataclass(frozen=True, slots=True)
class Gain:
    """G as straight lines between knots (win rate, gain), strictly increasing in both; the first win rate is 0, the last 1."""

    knots: tuple[tuple[float, float], ...] = ((0.0, 0.0), (1.0, 1.0))
    _rates: tuple[float, ...] = field(init=False, repr=False)
    _gains: tuple[float, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        rates, gains = tuple(k[0] for k in self.knots), tuple(k[1] for k in self.knots)
        if len(rates) < 2 or any(b <= a for s in (rates, gains) for a, b in pairwise(s)):
            raise ValueError("gain knots must be at least two and strictly increasing in win rate and in gain")
        object.__setattr__(self, "_rates", rates)
        object.__setattr__(self, "_gains", gains)

    def win_rate(self, gain: float) -> float:
        """Return G⁻¹(gain), clipped to [0, 1]."""
        xs = self._gains  # `_line`, without another call: asked for twice by every decision.
        if xs[0] < gain < xs[-1]:
            i = bisect_right(xs, gain)
            x0, rates = xs[i - 1], self._rates
            y0 = rates[i - 1]
            return y0 + (gain - x0) * (rates[i] - y0) / (xs[i] - x0)
        return self._rates[0 if gain <= xs[0] else -1]

    def gain(self, win_rate: float) -> float:
        """Return G(win_rate); win rates outside [0, 1] get the gain of the end."""
        return _line(self._rates, self._gains, win_rate)


def _line(xs: tuple[float, ...], ys: tuple[float, ...], x: float) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    i = bisect_right(xs, x)
    x0, y0 = xs[i - 1], ys[i - 1]
    return y0 + (x - x0) * (ys[i] - y0) / (xs[i] - x0)


def alpha(gain: Gain, priced: float, value: float, strong_success: float, weak_success: float, weak_quality: float) -> float:
    """Return the win rate from which the strong model is worth it.

    Args:
        priced: Σ price_j (r_{j,S} - r_{j,W}), in mean request values; the quality price is inside `priced` with the
            candidates' own qualities, so this is the threshold at *this* request's weak quality.
        value: the request's class value over the mean, v/v̄ > 0.
        strong_success, weak_success: a_S, a_W.
        weak_quality: q_W.
    """
    needed = (priced / value + weak_quality * (weak_success - strong_success)) / (strong_success if strong_success > 1e-6 else 1e-6)
    return gain.win_rate(needed)


def alpha_ref(gain: Gain, card: Card, terms: Terms, value: float = 1.0) -> float:
    """Return the threshold of the median request: median list-price difference, healthy backends.

    Prices alone move it, not the breaker: it is what the page and the metrics show. The quality price works on the gain
    itself, so g (v/v̄ + mu_quality) must reach the cost term.

    Args:
        value: v/v̄ of a class; 1: a request of mean value.
    """
    if terms.fixed_threshold is not None:
        return terms.fixed_threshold
    cost = quality = 0.0
    for kind, price in terms.per_unit:
        if kind == "cost":
            cost = price
        elif kind == "quality":
            quality = price
    return gain.win_rate(cost * card.median_usd_apart / (value + quality))
