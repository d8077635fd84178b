"""What one request adds to the counters: traffic, dollars, and every SLO that applies to it.

Field names are part of the store's contents (`edges/store/keys.py` says where they lie):

    req, n, usd, est            requests arrived, settled, nano-dollars, and those of them that are estimated; also r.<route>.<the same>
    k.<class>  end.<reason>     settled requests by class and by how they ended;  shed.<reason>.<class>
    m.<model>.n .usd .exp .in .out   per model: requests, nano-dollars billed and expected at list prices, tokens
    s.<slo id>.n .x             valid and bad events of one SLO; of verdicts in thousandths, by their weight, and .v their number
    s.<slo id>.p .q             of a quality SLO: scored requests, and what the router expected them to lose, in thousandths of an answer

Names are put together once per kind of request and kept: booking is on the data path.
"""

from collections.abc import Iterator, Sequence

from gateway.core.budget.slo import Slo, scoped
from gateway.domain.catalog import TrafficClass
from gateway.domain.errors import SERVED, Reason
from gateway.domain.event import MILLI, NANO, Entry, Outcome

SHEDS = frozenset({Reason.SHED_DEADLINE, Reason.SHED_OVERLOAD})


class Names:
    """The counters of one route, those of its SLOs with them."""

    __slots__ = ("est", "heads", "judged", "opening", "predicted", "usd", "verdicts")

    def __init__(self, route: str, slos: Sequence[Slo]) -> None:
        self.usd, self.est = scoped("usd", route), scoped("est", route)
        self.opening: list[Entry] = [("req", 1), (scoped("req", route), 1)]
        self.heads: dict[tuple[str, Reason], list[Entry]] = {}
        """What every request of one class adds that ended in one way."""
        self.verdicts = [s for s in slos if s.evidence_field is not None]
        self.predicted = [((s.scored_field, 1), s.lost_field) for s in self.verdicts]
        self.judged = [
            (s.sli.judge, (s.valid_field, 1), (s.bad_field, 1)) for s in slos if s.spec.kind != "cost" and s.evidence_field is None
        ]
        """Those that know at the end of a request whether it was a good one: neither dollars nor verdicts do."""


class Book:
    """Entries of one config version's SLOs."""

    def __init__(self, slos: Sequence[Slo]) -> None:
        self._slos = tuple(slos)
        self._routes: dict[str, Names] = {}
        self._turned_away: dict[Reason, list[Entry]] = {}
        self._models: dict[str, tuple[Entry, str, str, str, str]] = {}

    def opening(self, route: str) -> list[Entry]:
        """Return what the arrival of a request adds; the forecast counts requests that came, not those that ended."""
        return self._names(route).opening

    def settled(
        self,
        route: str,
        klass: TrafficClass,
        outcome: Outcome,
        usd: float,
        listed_usd: float,
        quality: float | None = None,
        estimated_usd: float = 0.0,
    ) -> list[Entry]:
        """Return what the end of a request adds.

        Args:
            usd: dollars of all attempts.
            listed_usd: what the answering model was expected to cost at list prices.
            quality: predicted quality of its answer; None when nothing was predicted.
            estimated_usd: part of `usd` that rests on estimated tokens.
        """
        reason, names = outcome.reason, self._names(route)
        head = names.heads.get((klass.name, reason))
        if head is None:
            head = names.heads[klass.name, reason] = _head(route, klass, reason)
        entries = head.copy()
        nano = round(usd * NANO)
        if nano:
            entries += (("usd", nano), (names.usd, nano))
        if estimated_usd:
            estimated = round(estimated_usd * NANO)
            entries += (("est", estimated), (names.est, estimated))
        if outcome.model is not None:
            one, dollars, expected, prompt, completion = self._model(outcome.model)
            tokens = (prompt, outcome.prompt_tokens), (completion, outcome.completion_tokens)
            entries += (one, (dollars, nano), (expected, round(listed_usd * NANO)), *tokens)
        if quality is not None and names.predicted and reason is SERVED:
            lost = round((1.0 - quality) * MILLI)
            for scored, lost_field in names.predicted:
                entries += (scored, (lost_field, lost))
        if klass.exempts_sheds and reason in SHEDS:
            return entries
        for judge, valid, bad in names.judged:
            verdict = judge(outcome)
            if verdict is not None:
                entries.append(valid)
                if not verdict:
                    entries.append(bad)
        return entries

    def turned_away(self, reason: Reason) -> list[Entry]:
        """Return what is counted for somebody who never became a request; of SLOs only those of the whole fleet can apply."""
        known = self._turned_away.get(reason)
        if known is None:
            known = self._turned_away[reason] = [(f"end.{reason.value}", 1), *self._of_fleet(Outcome(reason, None))]
        return known

    def verdict(self, is_good: bool, route: str, weight: float = 1.0) -> list[Entry]:
        """Return what a verdict on an answer adds to the quality SLOs of its route; weight: `slis.quality.weight_of`."""
        entries: list[Entry] = []
        amount = round(weight * MILLI)
        for slo in self._names(route).verdicts:
            assert slo.evidence_field is not None
            entries += ((slo.evidence_field, 1), (slo.valid_field, amount))
            if not is_good:
                entries.append((slo.bad_field, amount))
        return entries

    def _of_fleet(self, outcome: Outcome) -> Iterator[Entry]:
        for slo in self._slos:
            verdict = slo.sli.judge(outcome) if slo.spec.route is None else None
            if verdict is not None:
                yield slo.valid_field, 1
                if not verdict:
                    yield slo.bad_field, 1

    def _names(self, route: str) -> Names:
        known = self._routes.get(route)
        if known is None:
            known = self._routes[route] = Names(route, [s for s in self._slos if s.spec.route in (None, route)])
        return known

    def _model(self, model: str) -> tuple[Entry, str, str, str, str]:
        known = self._models.get(model)
        if known is None:
            known = self._models[model] = ((f"m.{model}.n", 1), f"m.{model}.usd", f"m.{model}.exp", f"m.{model}.in", f"m.{model}.out")
        return known


def _head(route: str, klass: TrafficClass, reason: Reason) -> list[Entry]:
    entries = [("n", 1), (scoped("n", route), 1), (f"end.{reason.value}", 1), (f"k.{klass.name}", 1)]
    return [*entries, (f"shed.{reason.value}.{klass.name}", 1)] if reason in SHEDS else entries
