"""The load harness: `python -m load VERB`, one line each to the modules that do it."""

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path

from gateway.config.errors import ConfigErrors
from load import compare, report
from load.arrivals import ArrivalsError
from load.events import Event, EventError
from load.plan import Plan, prepare
from load.processes import ChildRefused
from load.progress import Progress
from load.prompts import DATA_VARIABLE, PromptsError
from load.result import Result
from load.scenario import Scenario, ScenarioError
from router_models.port import ArtifactError

USAGE, INTERRUPTED, DIFFERENT = 2, 130, 1
JUDGE_VARIABLE = "SLUICE_JUDGE"
EXPECTED = (ScenarioError, ArrivalsError, PromptsError, EventError, ChildRefused, ConfigErrors, ArtifactError, ValueError, OSError)
"""What a run can fail with before it begins; each message is for the operator."""


def main() -> None:
    """Read the command line and do what it says; exit status 2 when that cannot be done."""
    args = _parser().parse_args()
    try:
        sys.exit(args.do(args))
    except EXPECTED as trouble:
        print(f"load {args.verb}: {trouble}", file=sys.stderr)
        sys.exit(USAGE)
    except (KeyboardInterrupt, asyncio.CancelledError):
        print(f"load {args.verb}: interrupted, everything stopped", file=sys.stderr)
        sys.exit(INTERRUPTED)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m load", description="Load, scenarios and simulation for the Sluice gateway.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    demo = verbs.add_parser("demo", help="start gateway, store, page and two simulated backends; `make run`")
    demo.add_argument("--config", type=Path, default=Path("config/sluice.yaml"), metavar="FILE")
    demo.add_argument("--traffic", action="store_true", help="send about a request per second, so that the page moves")
    demo.set_defaults(do=_demo)
    run = verbs.add_parser("run", help="play a scenario over real sockets")
    _scenario_options(run)
    run.add_argument("--speed", type=float, default=1.0, metavar="S", help="divide every duration, those of engines and gateway too")
    run.add_argument("--url", help="a gateway that runs already; without it one is started, with simulated backends")
    run.add_argument("--key", help="API key for --url")
    run.add_argument("--event", action="append", default=[], metavar="NAME@AT[:FOR]", help="hurt the gateway; see load/events.py")
    run.set_defaults(do=_run)
    sim = verbs.add_parser("sim", help="play the same scenario on virtual time, or replay a pinned world")
    _scenario_options(sim, nargs="?")
    sim.add_argument("--world", type=Path, metavar="DIR", help="a folder with world.parquet and world.json")
    sim.add_argument("--log", type=Path, metavar="DIR", help="where the decisions of a world go")
    sim.set_defaults(do=_sim)
    judged = verbs.add_parser("judge", help="play the judge's worlds under our laws and print its table; `make judge`")
    judged.add_argument(
        "--judge", type=Path, default=os.environ.get(JUDGE_VARIABLE), metavar="DIR", help=f"its folder (default: {JUDGE_VARIABLE})"
    )
    judged.add_argument("--world", nargs="+", help="only these")
    judged.add_argument("--seeds", type=int, nargs="+", help="instead of 11 12 13, which nothing was tuned on")
    judged.add_argument("--law", nargs="+", help="only these of our laws; all by default")
    judged.add_argument("--jobs", type=int, default=1, help="worlds at a time, each on one core and 230 MB")
    judged.add_argument("--out", type=Path, default=Path("out/judge"), metavar="DIR", help="where results are kept")
    judged.set_defaults(do=_judge)
    side = verbs.add_parser("compare", help="lay two results side by side")
    side.add_argument("results", nargs=2, type=Path, metavar="RESULT.json")
    side.add_argument(
        "--within", type=float, metavar="POINTS", help="exit status 1 when spend, strong share or availability lie further apart"
    )
    side.set_defaults(do=_compare)
    shown = verbs.add_parser("report", help="draw one or several results into one HTML file")
    shown.add_argument("results", nargs="+", type=Path, metavar="RESULT.json")
    shown.add_argument("--out", type=Path, default=Path("out/report.html"), metavar="FILE")
    shown.set_defaults(do=_report)
    return parser


def _scenario_options(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument("scenario", type=Path, nargs=nargs, metavar="SCENARIO", help="a YAML file; load/scenarios has some")
    parser.add_argument("--law", help="instead of the configuration's: static and step (calibrated on the forecast), pid, shadow_price")
    parser.add_argument("--router", help="instead of the configuration's: builtin, constant or an artifact's folder")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where results go (default: out/SCENARIO-VERB-LAW)")


def _demo(args: argparse.Namespace) -> int:
    from load.demo import demo

    return asyncio.run(demo(args.config, args.traffic))


def _run(args: argparse.Namespace) -> int:
    from load.run import Options, check, run

    if not args.speed > 0:
        raise ScenarioError("--speed must be above 0")
    plan = _plan(args)
    if plan.scenario.is_virtual:
        raise ScenarioError(f"{plan.scenario.name} has bills, budget_edits or store_away, which only `load sim` can play")
    out = args.out or Path("out") / f"{plan.scenario.name}-run-{args.law or 'law'}"
    options = Options(out, args.speed, args.url, args.key, tuple(Event.read(text) for text in args.event))
    check(options)
    out.mkdir(parents=True, exist_ok=True)
    return _finish(asyncio.run(_interruptible(run(plan, options, Progress(plan.scenario.name, plan.scenario.duration_s)))), out)


def _sim(args: argparse.Namespace) -> int:
    if args.world is not None:
        return _replay(args)
    if args.scenario is None:
        raise ScenarioError("name a scenario, or a world with --world")
    from load.simulate import simulate

    plan = _plan(args)
    result = simulate(plan)
    return _finish(result, args.out or Path("out") / f"{plan.scenario.name}-sim-{args.law or 'law'}")


def _replay(args: argparse.Namespace) -> int:
    from load.worlds import World, replay, write

    if args.log is None:
        raise ScenarioError("--world needs --log DIR for its decisions")
    world, started_s = World.load(args.world), time.process_time()
    played = replay(world, args.law or "shadow_price")
    took_s = time.process_time() - started_s
    write(played, args.log)
    n = len(played.choices)
    print(f"{n:,} requests in {took_s:.1f} s of CPU, {n / took_s:,.0f} a second; decisions and ticks are in {args.log}")
    return 0


def _judge(args: argparse.Namespace) -> int:
    from gateway.core.pricing.laws.registry import LAWS
    from load.judge import DEFAULT_LAW, SEEDS, Judge, judge_all, table

    if args.judge is None:
        raise ScenarioError(f"name the judge's folder with --judge or {JUDGE_VARIABLE}")
    judge = Judge(args.judge, args.out)
    judge.check()
    laws = args.law or list(LAWS)
    cells = judge_all(judge, args.world or judge.worlds(), args.seeds or SEEDS, laws, args.jobs)
    print(f"\n{table(cells, laws)}")
    return DIFFERENT if any(c.broken for c in cells if c.is_ours and c.law == DEFAULT_LAW) else 0


def _compare(args: argparse.Namespace) -> int:
    first, second = (Result.read(path) for path in args.results)
    print(compare.table(first, second))
    return DIFFERENT if args.within is not None and not compare.is_within(first, second, args.within) else 0


def _report(args: argparse.Namespace) -> int:
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(report.render([Result.read(path) for path in args.results]))
    print(args.out)
    return 0


def _plan(args: argparse.Namespace) -> Plan:
    scenario = Scenario.load(args.scenario)
    if args.law is not None:
        scenario = replace(scenario, law=args.law)
    if args.router is not None:
        scenario = replace(scenario, router=args.router)
    named = os.environ.get(DATA_VARIABLE)
    return prepare(scenario, Path(named) if named else None)


def _finish(result: Result, out: Path) -> int:
    """Write everything and print the figures."""
    result.write(out / "result.json")
    (out / "report.html").write_text(report.render([result]))
    print(report.text(result))
    print(f"\n{out / 'result.json'}\n{out / 'report.html'}")
    return 0


async def _interruptible(work: Coroutine[None, None, Result]) -> Result:
    """Let SIGTERM end a run as Ctrl-C does: cancelled, with everything stopped on the way out."""
    task = asyncio.get_running_loop().create_task(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


if __name__ == "__main__":
    main()
