"""`sluice explain --budget "spend=0.1,first-token=0.8" -- "prompt"`: what the gateway would do if that much were left of its budgets.

The state is `core/hypothesis.py`'s, prices are those of the configured law; here it is read from the command line, told, and turned
until the choice changes. Assumptions that the command line leaves open are printed, each with the option that changes it.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite

from gateway.commands.trial import Trial, Unanswerable, known
from gateway.config.quantities import write_duration
from gateway.core.budget.ledger import Judgement
from gateway.core.budget.slo import Slo
from gateway.core.governor import Published
from gateway.core.hypothesis import LASTS_S, Hypothesis, Impossible, published, spending_rate, usual_remaining
from gateway.domain.decision import Choice, Shed
from gateway.domain.prices import Price
from gateway.runtime import Runtime

AT = 0.5
RATE = 1.0
"""Requests per second where neither a forecast nor a dollar budget says anything: it moves no budget of bad events by much."""
HUNDREDTHS = 100
"""How finely it is told where a choice changes."""
BELONG = ("at", "rate", "failing", "late")
SICK = {"availability": ("fail", "--failing"), "ttft": ("be late", "--late")}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    supposed = parser.add_argument_group("what would be, without a running gateway")
    supposed.add_argument(
        "--budget", metavar="SLO=LEFT,...", action="append", help="suppose that this share of each budget is left: 0.1; -0.2 is overspent"
    )
    supposed.add_argument("--at", metavar="SHARE", help=f"share of each period that has passed; default: {AT}")
    supposed.add_argument("--rate", metavar="N", help="requests per second; default: the configuration's forecast, else what is told")
    supposed.add_argument("--failing", metavar="MODEL=SHARE,...", action="append", help="suppose that this share of attempts fails")
    supposed.add_argument("--late", metavar="MODEL=SHARE,...", action="append", help="suppose that this share of first tokens is late")


@dataclass(frozen=True)
class Supposition:
    """A hypothesis for one trial, and what the law makes of it."""

    trial: Trial
    hypothesis: Hypothesis
    rate: float
    rate_from: str
    """Where the rate comes from, for people."""
    published: Published

    @property
    def health(self) -> dict[str, tuple[float, float]]:
        """Success and lateness of every model of the route."""
        return {m: self.hypothesis.health(m) for m in self.trial.route.models}

    def told(self) -> Iterator[str]:
        """Yield the state and its prices for people, assumptions first."""
        h, out = self.hypothesis, self.published
        sick = [f"{m} {what} {share:g}" for what, of in (("fails", h.failing), ("late", h.late)) for m, share in of.items()]
        models = (
            ", ".join(sick) + f", for {write_duration(LASTS_S)} now" if sick else "every model answers, and in time (--failing, --late)"
        )
        yield f"supposed: {h.at:g} of each period has passed (--at); {self.rate:.4g} requests/s ({self.rate_from}); {models}"
        priced = {p.slo: p for p in out.prices.prices}
        for j in out.judgements:
            yield from self._budget(j, priced[j.slo.spec.name])
        if out.prices.infeasible:
            yield f"   cannot be met: {', '.join(out.prices.infeasible)}"
        alpha = out.prices.alpha_ref[self.trial.route.name]
        yield f"mode {out.prices.mode}; threshold of a median request with healthy backends (α_ref of {self.trial.route.name}): {alpha:.4f}"
        if self.trial.config.mode == "observe":
            yield "the configuration only observes: this is computed and logged, the best model answers"

    def turns(self, choice: Choice) -> Iterator[str]:
        """Yield what would change the choice: another prediction, or more or less left of each budget that was named."""
        names = self.trial.route.models
        rivals = sorted((s, m) for m, s in zip(names, choice.scores, strict=False) if m != choice.model)
        if choice.threshold is None or not rivals or len(choice.scores) != len(names):
            return
        rival = rivals[-1][1]
        way = "below" if names.index(choice.model) < names.index(rival) else "from"
        if 0.0 < choice.threshold < 1.0:
            yield f"it would be {rival} {way} a win rate of {choice.threshold:.4f}" + (" on" if way == "from" else "")
        else:
            yield f"no win rate would make it {rival}"
        for name, left in self.hypothesis.remaining.items():
            turns = [t for end in (1.0, 0.0) if (t := self._turn(name, left, end, choice.model)) is not None]
            yield from (f"it would be {model} with {at:.2f} left of {name}, or {'more' if at > left else 'less'}" for at, model in turns)
            if not turns:
                yield f"no other share of {name} that is left would change it"

    def _turn(self, name: str, left: float, end: float, chosen: str) -> tuple[float, str] | None:
        """Return the nearest hundredth from which on, towards `end`, another model is chosen, and which; None without one."""
        step = 1 if end > left else -1
        first = int(left * HUNDREDTHS // 1) + (1 if step > 0 else 0 if left * HUNDREDTHS % 1 else -1)
        last = round(end * HUNDREDTHS)
        if (last - first) * step < 0 or (found := self._chosen(name, last / HUNDREDTHS)) in ("", chosen):
            return None
        low, high = 0, (last - first) * step  # Steps from `first` on; at `high` it has changed.
        while low < high:
            middle = (low + high) // 2
            model = self._chosen(name, (first + middle * step) / HUNDREDTHS)
            low, high, found = (middle + 1, high, found) if model == chosen else (low, middle, model)
        return (first + high * step) / HUNDREDTHS, found

    def _chosen(self, name: str, left: float) -> str:
        """Return who is chosen with another share of one budget left; nobody where that cannot be."""
        other = replace(self.hypothesis, remaining={**self.hypothesis.remaining, name: left})
        runtime = self.trial.build()
        try:
            prices = published(runtime.core.governor, other, self.rate).prices
        except Impossible:
            return ""
        decided = self.trial.decide(runtime, prices, self.health)
        return "" if isinstance(decided, Shed) or decided.choice is None else decided.choice.model

    def _budget(self, j: Judgement, price: Price) -> Iterator[str]:
        """Tell one budget: what is left, what that affords, and what it then costs."""
        spec, h = j.slo.spec, self.hypothesis
        usual = "as scheduled" if usual_remaining(j.slo, h.at) < 1.0 else "full"
        named = "" if spec.name in h.remaining else f" (not named: {usual})"
        elsewhere = "" if spec.route in (None, self.trial.route.name) else f"; of route {spec.route}, not of this prompt"
        spent = f"; spent{', on_exhausted ' + spec.on_exhausted if spec.kind == 'cost' else ''}" if j.is_exhausted else ""
        if spec.kind == "cost":
            usd = float(spec.options.usd)
            money = f"{'-' if j.remaining < 0 else ''}${abs(j.remaining) * usd:.2f} of ${usd:.2f} for about {j.left:.0f} requests to come"
            left, affords = f"{money}, {_stretch(j.slo)}", f"${price.allowance:.6f} a request (even pace: ${j.fair:.6f})"
            cost = f"price {price.per_unit:.6g} a dollar, {price.value:.4g} {j.slo.sli.unit}"
        else:
            left, affords = _stretch(j.slo), f"{price.allowance:.4g} bad per event (objective: {j.slo.bad_ratio:.4g})"
            cost = f"price {price.value:.4g} {j.slo.sli.unit}"
        yield f"   {spec.name}: {j.remaining:.4g} left{named}; {left}{spent}{elsewhere}"
        if not named or price.value > 0 or j.is_exhausted:
            yield f"      affords {affords}; {cost}{self._why_free(j, price)}"

    def _why_free(self, j: Judgement, price: Price) -> str:
        kind, h = j.slo.spec.kind, self.hypothesis
        if price.value > 0 or j.slo.spec.name not in h.remaining:
            return ""
        if kind in SICK and not (h.failing if kind == "availability" else h.late):
            what, option = SICK[kind]
            return f": no model is supposed to {what} ({option} {self.trial.route.models[0]}=0.2)"
        return ": unknown without real traffic" if kind in ("itl", "coherence") else ": what is supposed to come stays within it"


def suppose(args: argparse.Namespace, trial: Trial, runtime: Runtime) -> Supposition:
    """Return what the command line supposes, priced; `runtime` may then decide under its prices.

    Raises: Unanswerable.
    """
    governor, route = runtime.core.governor, trial.route
    slos, models = {slo.spec.name: slo for slo in governor.slos}, runtime.catalog.models
    hypothesis = Hypothesis(
        _shares("--budget", args.budget, slos, "SLO", _left),
        _number("--at", args.at, lambda x: 0 < x < 1, "between 0 and 1") if args.at is not None else AT,
        _number("--rate", args.rate, lambda x: x > 0, "above 0") if args.rate is not None else None,
        _shares("--failing", args.failing or [], models, "model", _ratio),
        _shares("--late", args.late or [], models, "model", _ratio),
    )
    if len(route.models) < 2:
        raise Unanswerable(f"route {route.name} has one model and no router: whatever is left of budgets, {route.models[0]} answers")
    rate, rate_from = _rate(hypothesis, runtime, trial)
    try:
        out = published(governor, hypothesis, rate)
    except Impossible as exc:
        raise Unanswerable(f"--budget {exc}") from exc
    if out.prices.fixed_threshold is not None:
        by = "follows how fast budgets burn, not what is left of them" if out.prices.law == "step" else "does not depend on budgets"
        held = f"law {out.prices.law} sets no prices, and its threshold ({out.prices.fixed_threshold:g})"
        raise Unanswerable(f"{held} {by}; leave --budget out to decide under it")
    return Supposition(trial, hypothesis, rate, rate_from, out)


def _rate(hypothesis: Hypothesis, runtime: Runtime, trial: Trial) -> tuple[float, str]:
    """Return the requests per second of the whole fleet, and where that comes from."""
    governor, router = runtime.core.governor, trial.route.router
    if hypothesis.rate is not None:
        return hypothesis.rate, "--rate"
    if (believed := governor.believed_rate()) is not None:
        return believed, "--rate; the configuration's forecast"
    costs = [slo for slo in governor.slos if slo.spec.kind == "cost"]
    if not costs:
        return RATE, "--rate; nothing in the configuration says how many"
    share = router.fallback_strong_share
    rate = spending_rate(costs[0], governor.cards(), share)
    return rate, f"--rate; no forecast: as many as {costs[0].spec.name} pays for, {share:g} of them on {trial.route.models[0]}"


def _shares(
    option: str, texts: list[str], names: Mapping[str, object], what: str, check: Callable[[str, float], str | None]
) -> dict[str, float]:
    """Read `NAME=NUMBER,...`.

    Args:
        check: what is wrong with a number, by its name's entry; None: nothing.
    Raises: Unanswerable.
    """
    out: dict[str, float] = {}
    for item in ",".join(texts).split(",") if texts else []:
        name, sign, text = (part.strip() for part in item.partition("="))
        if not sign or not name or not text:
            raise Unanswerable(f"{option} {item.strip()!r}: write {what}=NUMBER, several with commas between them")
        known(name, names, what)
        if name in out:
            raise Unanswerable(f"{option} names {name} twice")
        out[name] = _number(f"{option} {name}", text, lambda x: True, "")
        if wrong := check(name, out[name]):
            raise Unanswerable(f"{option} {name}={text}: {wrong}")
    return out


def _left(name: str, share: float) -> str | None:
    return "at most 1 can be left, which is the whole budget; shares are not in percent" if share > 1 else None


def _ratio(name: str, share: float) -> str | None:
    return None if 0 <= share <= 1 else "a share is between 0 and 1"


def _number(option: str, text: str, is_right: Callable[[float], bool], range_: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise Unanswerable(f"{option}: {text!r} is no number; write for example 0.1")
    if not is_right(number):
        raise Unanswerable(f"{option}: {text} is not {range_}")
    return number


def _stretch(slo: Slo) -> str:
    """Return the stretch of time of a budget, for people."""
    period = slo.spec.period
    if period is None:
        return f"over {write_duration(slo.spec.window_s or 0.0)}, spread evenly"
    return f"every {write_duration(period.length_s or 0.0)}" if period.unit == "fixed" else f"calendar {period.unit}"
