"""Rhythm: how many requests each hour of the week brings, learned from the counts of the last four weeks.

Theory: traffic of people has a shape that returns every week and a level that drifts. The shape is the mean of each of the 168
hours of the week (UTC: where clocks are put forward, it is an hour off for some weeks); the level is how many requests came in the last
`LEVEL_S` against how many the shape says. What is to come is shape times level. Below a week of history there is none: then
the recent rate times the remaining time is all that is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.core.budget.counts import Counts

HOUR_S, WEEK_HOURS = 3600.0, 168
WEEKS = 4
LEVEL_S = 6 * HOUR_S
"""Long enough for some events at night, short enough to follow a launch within a day. Assumed, not measured."""
PRIOR_REQUESTS = 10.0
"""Requests as expected that are added to both sides of the level, so that a quiet night does not decide."""
LEVEL_MIN, LEVEL_MAX = 0.1, 10.0


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Mean requests of each hour of the week; the first hour is that of the epoch, a Thursday's."""

    hours: Sequence[float]

    @classmethod
    def learned(cls, counts: Counts, name: str, wall_s: float) -> "Rhythm | None":
        """Return the rhythm of a counter; None below a week of history."""
        now, first = int(wall_s // HOUR_S), counts.first_s(name)
        if first is None:
            return None
        begin = max(int(first // HOUR_S), now - WEEKS * WEEK_HOURS)
        if now - begin < WEEK_HOURS:
            return None
        sums, seen = [0.0] * WEEK_HOURS, [0] * WEEK_HOURS
        for hour in range(begin, now):
            sums[hour % WEEK_HOURS] += counts.total(name, hour * HOUR_S, (hour + 1) * HOUR_S)
            seen[hour % WEEK_HOURS] += 1
        return cls([total / n for total, n in zip(sums, seen, strict=True)])

    def between(self, from_s: float, to_s: float) -> float:
        """Return the requests of [from_s, to_s), Unix seconds, at level 1."""
        if to_s <= from_s:
            return 0.0
        first, last = int(from_s // HOUR_S), int(to_s // HOUR_S)
        hours = self.hours
        if first == last:
            return hours[first % WEEK_HOURS] * (to_s - from_s) / HOUR_S
        whole, weeks = last - first - 1, 0
        total = hours[first % WEEK_HOURS] * ((first + 1) * HOUR_S - from_s) / HOUR_S
        total += hours[last % WEEK_HOURS] * (to_s - last * HOUR_S) / HOUR_S
        if whole >= WEEK_HOURS:
            weeks, whole = divmod(whole, WEEK_HOURS)
        return total + weeks * sum(hours) + sum(hours[(first + 1 + i) % WEEK_HOURS] for i in range(whole))

    def level(self, counts: Counts, name: str, wall_s: float) -> float:
        """Return how much comes now against how much usually does."""
        came = counts.total(name, wall_s - LEVEL_S, wall_s)
        level = (came + PRIOR_REQUESTS) / (self.between(wall_s - LEVEL_S, wall_s) + PRIOR_REQUESTS)
        return min(max(level, LEVEL_MIN), LEVEL_MAX)
