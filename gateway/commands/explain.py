"""`sluice explain`: make logged decisions again, tell why one was made, or try a prompt.

sluice explain --from-log FILE...                  every decision made again; equal or different
sluice explain --from-log FILE --request req_...   one decision, told for people
sluice explain --config FILE -- "prompt"           what a fresh gateway would do, or with --admin the running one
sluice explain --budget "spend=0.1" -- "prompt"    what it would do if a tenth of that budget were left
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from gateway.commands import supposed
from gateway.commands.pin import Unreachable, add_admin_arguments, admin_of, call
from gateway.commands.trial import Unanswerable, trial_of
from gateway.config.errors import ConfigErrors
from gateway.core.pricing.terms import terms_of
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.record import EXPECTATION_FIELDS, is_same, redecide
from gateway.core.routing.score import RISKS
from gateway.domain.decision import Shed
from gateway.domain.expectation import Expectation
from gateway.domain.prices import Price, Prices
from gateway.runtime import Runtime
from router_models.port import ArtifactError

HELP = "make logged decisions again, tell why one was made, or try a prompt"
SHOWN_MAX = 5
"""Differences told in full."""
HEALTHY = (0.999, 0.001)
"""Success and lateness of a model of which nothing is known."""
WHY = {
    "score": "best score",
    "soft_edge": "near tie, split by share: the draw decided",
    "threshold": "the law in force is a fixed threshold",
    "client_threshold": "the client's own threshold",
    "probe": "probe: a model that is broken or priced out must be seen to recover",
    "pin": "pinned by an operator",
    "only": "the only candidate",
    "down": "the other candidates have no working backend",
    "observe": "observe mode: computed, not acted on",
    "fallback": "fallback after a failed attempt",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command line takes."""
    parser.add_argument("--from-log", metavar="FILE", type=Path, nargs="+", help="decision log, rotated files too, oldest first")
    parser.add_argument("--request", metavar="ID", help="tell this one decision of the log")
    parser.add_argument("--route", help="route of the prompt; default: the first")
    parser.add_argument("--class", dest="klass", help="class of the prompt; default: that of requests without a key, else the first")
    parser.add_argument("--tenant", help="whose class the prompt has; its limits are not looked at")
    parser.add_argument("--tokens", "--max-tokens", type=int, help="longest answer; default: what is usual")
    parser.add_argument("prompt", nargs="?", help="a prompt to try")
    supposed.add_arguments(parser)
    add_admin_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Explain; exit status 1 when a decision differs or is not found, 2 when something needed is not there."""
    try:
        if wrong := _contradiction(args):
            print(wrong, file=sys.stderr)
            return 2
        if args.from_log:
            return told(args.from_log, args.request) if args.request else made_again(args.from_log)
        if args.prompt is None:
            print("give --from-log FILE, or a prompt", file=sys.stderr)
            return 2
        return tried(args)
    except ConfigErrors as exc:
        print("\n".join(map(str, exc.errors)), file=sys.stderr)
    except (OSError, Unreachable, ArtifactError, Unanswerable) as exc:
        print(exc, file=sys.stderr)
    return 2


@dataclass
class Tally:
    """How a log came out."""

    equal: int = 0
    undecided: int = 0
    """Refused before a model was chosen: nothing to make again."""
    unpriced: int = 0
    """The prices they were made under are not in the log."""
    unreadable: int = 0
    different: list[str] = field(default_factory=list)


Known = list[tuple[Prices, dict[str, Gain]]]


def made_again(files: Sequence[Path]) -> int:
    """Make every decision again and print how many come out equal."""
    tally, known = Tally(), dict[int, Known]()
    for line in _lines(files):
        if line is None:
            tally.unreadable += 1
        elif line.get("kind") == "prices":
            _learn(known, line)
        elif line["choice"] is None:
            tally.undecided += 1
        elif line["prices_version"] not in known:
            tally.unpriced += 1
        elif _is_equal(line, known[line["prices_version"]]):
            tally.equal += 1
        else:
            tally.different.append(line["request_id"])
    print(f"{tally.equal} equal, {len(tally.different)} different")
    for count, what in (
        (tally.undecided, "refused before a model was chosen"),
        (tally.unpriced, "without their prices in the log"),
        (tally.unreadable, "lines not readable"),
    ):
        if count:
            print(f"{count} {what}")
    for request_id in tally.different[:SHOWN_MAX]:
        print(f"different: {request_id}")
    return 1 if tally.different or tally.unpriced or tally.unreadable else 0


def told(files: Sequence[Path], request_id: str) -> int:
    """Tell one logged decision."""
    known: dict[int, Known] = {}
    for line in _lines(files):
        if line is None:
            continue
        if line.get("kind") == "prices":
            _learn(known, line)
        elif line["request_id"] == request_id:
            variants = known.get(line["prices_version"], [])
            prices = next((p for p, gains in reversed(variants) if _is_equal(line, [(p, gains)])), None)
            print("\n".join(story(line, prices or (variants[-1][0] if variants else None))))
            print("made again: " + ("equal" if prices else "DIFFERENT" if variants else "not possible, its prices are not in the log"))
            return 0 if prices else 1
    print(f"no decision of {request_id} in the log", file=sys.stderr)
    return 1


def tried(args: argparse.Namespace) -> int:
    """Score a prompt and decide on it as a gateway would: a fresh one, with --admin under the running one's prices, or in a supposed state.

    Raises: ConfigErrors, ArtifactError, Unreachable, Unanswerable.
    """
    trial = trial_of(args)
    runtime = trial.build()
    what_if = supposed.suppose(args, trial, runtime) if args.budget else None
    prices = what_if.published.prices if what_if else _running_prices(args) if args.admin else _fresh_prices(runtime)
    decided = trial.decide(runtime, prices, what_if.health if what_if else None)
    if what_if:
        print("\n".join(what_if.told()))
    if isinstance(decided, Shed):
        print(f"refused: {decided.message}")
        return 1
    choice, facts = decided.choice, decided.facts
    assert choice is not None
    scorer = runtime.scorers.get(trial.route.name)
    if scorer is not None:
        print(f"router {scorer.name}" + (f": {runtime.troubles[trial.route.name]}" if scorer.is_fallback else ""))
    line = {
        "request_id": "(tried)", "route": facts.route, "class": facts.klass.name, "class_value": facts.klass.value,
        "prices_version": prices.version,
        "expectations": [[getattr(e, f) for f in EXPECTATION_FIELDS] for e in decided.expectations],
        "usable": decided.usable, "choice": choice.model, "why": choice.reason, "scores": choice.scores, "margin": choice.margin,
        "win_rate": choice.win_rate, "threshold": choice.threshold, "prompt_tokens": facts.prompt_tokens,
    }  # fmt: skip
    print("\n".join(story(line, prices)))
    for turn in what_if.turns(choice) if what_if else ():
        print(turn)
    return 0


def story(line: Mapping[str, Any], prices: Prices | None) -> Iterator[str]:
    """Yield one decision, told for people: candidates with scores and priced terms, threshold, why."""
    yield f"request {line['request_id']}: route {line['route']}, class {line['class']} (value {line['class_value']:g})"
    if line["choice"] is None:
        yield f"refused before a model was chosen: {line.get('reason')}"
        return
    terms = terms_of(prices, line["route"]) if prices is not None else None
    if prices is not None and terms is not None:
        shown = ", ".join(f"{kind} {price:.6g}" for kind, price in terms.per_unit) or "nothing has a price"
        yield f"prices {prices.version} (law {prices.law}, mode {prices.mode}): {shown}; mean class value {prices.mean_value:g}"
    worth = line["class_value"] / (prices.mean_value if prices is not None else 1.0)
    for values, score, is_usable in zip(line["expectations"], line["scores"], line["usable"], strict=True):
        e = Expectation(*values)
        parts = [f"{worth:.3g} x quality {e.quality:.4f} x success {e.success:.4f}"]
        parts += [f"{kind} {price * RISKS[kind](e):.4f}" for kind, price in (terms.per_unit if terms is not None else ())]
        mark = "->" if e.model == line["choice"] else "  "
        broken = "" if is_usable else "  (no working backend)"
        yield f"{mark} {e.model}: score {score:+.4f} = {' - '.join(parts)}   [${e.usd:.6f}]{broken}"
    if line["win_rate"] is not None and line["threshold"] is not None:
        sign = ">=" if line["win_rate"] >= line["threshold"] else "<"
        yield f"win rate {line['win_rate']:.4f} {sign} threshold {line['threshold']:.4f}; margin {line['margin']:+.4f}"
    yield f"{line['choice']}: {WHY.get(line['why'], line['why'])}"
    if line.get("reason"):
        answered = f"{line['model']} on {line['backend']}" if line["model"] else "nobody"
        yield f"ended {line['reason']}, answered by {answered}, {line['attempts']} attempts, ${line['usd']:.6f}"


def _lines(files: Sequence[Path]) -> Iterator[dict[str, Any] | None]:
    """Yield every line as data; None for one that is no JSON object (torn by a killed process)."""
    for path in files:
        with path.open("rb") as file:
            for raw in file:
                try:
                    line = msgspec.json.decode(raw)
                except msgspec.DecodeError:
                    line = None
                if raw.strip():
                    yield line if isinstance(line, dict) else None


def _learn(known: dict[int, Known], line: Mapping[str, Any]) -> None:
    """Take in a prices line; one version has several when the configuration changed under it."""
    gains = {route: Gain(tuple((knot[0], knot[1]) for knot in knots)) for route, knots in line["gains"].items()}
    prices = Prices.of_json(line["prices"])
    known.setdefault(prices.version, []).append((prices, gains))


def _is_equal(line: Mapping[str, Any], variants: Known) -> bool:
    return any(is_same(line, redecide(line, prices, gains.get(line["route"], Gain()))) for prices, gains in reversed(variants))


def _contradiction(args: argparse.Namespace) -> str | None:
    """Return what cannot be asked together."""
    if not args.budget:
        lone = [f"--{name}" for name in supposed.BELONG if getattr(args, name) is not None]
        return f"{', '.join(lone)}: only with --budget" if lone else None
    if args.from_log or args.admin:
        return f"--budget supposes a state, {'--from-log' if args.from_log else '--admin'} brings a real one; give one of them"
    return '--budget needs a prompt: sluice explain --budget "spend=0.1" -- "prompt"' if args.prompt is None else None


def _fresh_prices(runtime: Runtime) -> Prices:
    """Return what the first requests of a period would pay: the law's warm start, nothing counted yet."""
    health = dict.fromkeys(runtime.catalog.models, HEALTHY)
    return runtime.core.governor.tick(runtime.dispatcher.state.counts, {}, 0.0, health, is_quick=True).prices


def _running_prices(args: argparse.Namespace) -> Prices:
    """Return the prices that a running gateway publishes, from its state.

    Raises: Unreachable.
    """
    url, token = admin_of(args)
    status, state = call(url, token, "GET", "/admin/state")
    board = state.get("board")
    if status != 200 or not board:
        raise Unreachable(f"{url}: {state.get('error', 'no budget state is published yet')}")
    prices = tuple(Price(b["slo"], b["kind"], b["price"], b["allowance"], b["route"]) for b in board["budgets"])
    # A law with a fixed threshold publishes it as the reference of every route, and no price.
    fixed = next(iter(board["alpha_ref"].values()), None) if board["law"] in ("static", "step") else None
    version = (state.get("local") or {}).get("prices_version") or 0
    return Prices(version, 0, "", board["made_wall_s"], board["law"], prices, board["mean_value"], fixed, mode=board["mode"])
