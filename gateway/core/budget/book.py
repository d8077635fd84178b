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
from gateway.domain.errors import Reason
from gateway.domain.event import MILLI, NANO, Entry, Outcome

SHEDS = frozenset({Reason.SHED_DEADLINE, Reason.SHED_OVERLOAD})


class Book:
    """Entries of one config version's SLOs."""

    def __init__(self, slos: Sequence[Slo]) -> None:
        self._slos = tuple(slos)
        self._applying: dict[str, tuple[Slo, ...]] = {}
        self._openings: dict[str, list[Entry]] = {}
        self._settled: dict[tuple[str, str, Reason], list[Entry]] = {}
        self._predicted: dict[str, tuple[tuple[str, str], ...]] = {}
        self._turned_away: dict[Reason, list[Entry]] = {}
        self._dollars: dict[str, tuple[str, str]] = {}
        self._of_model: dict[str, tuple[str, str, str, str, str]] = {}

    def opening(self, route: str) -> list[Entry]:
        """Return what the arrival of a request adds; the forecast counts requests that came, not those that ended."""
        known = self._openings.get(route)
        if known is None:
            known = self._openings[route] = [("req", 1), (scoped("req", route), 1)]
        return known

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
        reason = outcome.reason
        entries = self._heads(route, klass, reason).copy()
        nano = round(usd * NANO)
        if nano:
            all_field, route_field = self._dollar_fields(route)
            entries.append((all_field, nano))
            entries.append((route_field, nano))
        if estimated_usd:
            estimated = round(estimated_usd * NANO)
            entries += (("est", estimated), (scoped("est", route), estimated))
        if outcome.model is not None:
            n, dollars, expected, prompt, completion = self._model_fields(outcome.model)
            entries.append((n, 1))
            entries.append((dollars, nano))
            entries.append((expected, round(listed_usd * NANO)))
            entries.append((prompt, outcome.prompt_tokens))
            entries.append((completion, outcome.completion_tokens))
        if quality is not None and reason is Reason.SERVED:
            predicted = self._predicted.get(route)
            if predicted is None:
                predicted = self._predicted[route] = tuple(
                    [(s.scored_field, s.lost_field) for s in self._of(route) if s.evidence_field is not None]
                )
            if predicted:
                lost = round((1.0 - quality) * MILLI)
                for scored_field, lost_field in predicted:
                    entries.append((scored_field, 1))
                    entries.append((lost_field, lost))
        if klass.exempts_sheds and reason in SHEDS:
            return entries
        for slo in self._of(route):
            verdict = slo.sli.judge(outcome)
            if verdict is not None:
                entries.append((slo.valid_field, 1))
                if not verdict:
                    entries.append((slo.bad_field, 1))
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
        for slo in self._of(route):
            if slo.evidence_field is not None:
                entries.append((slo.evidence_field, 1))
                entries.append((slo.valid_field, amount))
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

    def _heads(self, route: str, klass: TrafficClass, reason: Reason) -> list[Entry]:
        key = (route, klass.name, reason)
        known = self._settled.get(key)
        if known is None:
            known = [("n", 1), (scoped("n", route), 1), (f"end.{reason.value}", 1), (f"k.{klass.name}", 1)]
            if reason in SHEDS:
                known.append((f"shed.{reason.value}.{klass.name}", 1))
            self._settled[key] = known
        return known

    def _dollar_fields(self, route: str) -> tuple[str, str]:
        known = self._dollars.get(route)
        if known is None:
            known = self._dollars[route] = ("usd", scoped("usd", route))
        return known

    def _model_fields(self, model: str) -> tuple[str, str, str, str, str]:
        known = self._of_model.get(model)
        if known is None:
            known = self._of_model[model] = (f"m.{model}.n", f"m.{model}.usd", f"m.{model}.exp", f"m.{model}.in", f"m.{model}.out")
        return known

    def _of(self, route: str) -> tuple[Slo, ...]:
        known = self._applying.get(route)
        if known is None:
            known = self._applying[route] = tuple(s for s in self._slos if s.spec.route in (None, route))
        return known
