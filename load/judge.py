"""Have the pricing laws judged: the judge's worlds, our laws through the real core, the judge's score, one table.

The judge is a folder of its own (`worlds.py` makes worlds, `score.py` scores logs, `reference_laws.py` plays the laws it is
compared with, `bounds.json` says what must hold); nothing of it is imported or changed here, its scripts are run. A cell is
one world and seed. What a cell yields lies in one JSON file, named by a digest of everything that it depends on: an
interrupted run goes on where it stopped, a changed law is run anew, and two runs at once do not disturb each other.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Any

SEEDS = (11, 12, 13)
"""Nothing was tuned on these."""
DEFAULT_LAW = "shadow_price"
"""The law whose bounds must hold; the others are shown beside it."""
SOURCES = ("gateway/core", "gateway/domain", "load/worlds.py")
"""What our laws' results depend on."""


class JudgeError(ValueError):
    """A script of the judge, or a replay, failed; the message holds what it said."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One world and seed, judged under one law."""

    world: str
    seed: int
    law: str
    is_ours: bool
    metrics: dict[str, float]
    broken: tuple[str, ...]
    """A line for each bound that does not hold."""


@dataclass(frozen=True, slots=True)
class Judge:
    """The judge's folder, and where results are kept."""

    folder: Path
    out: Path

    def check(self) -> None:
        """Raises: JudgeError when the folder is not the judge's."""
        for name in ("worlds.py", "score.py", "reference_laws.py", "bounds.json"):
            if not (self.folder / name).is_file():
                raise JudgeError(f"{self.folder} has no {name}; SLUICE_JUDGE or --judge names the judge's folder")

    def worlds(self) -> list[str]:
        """Return the names of all worlds that have bounds, in the judge's order."""
        return list(json.loads((self.folder / "bounds.json").read_text()))

    def judged(self, world: str, seed: int, laws: Sequence[str]) -> list[Cell]:
        """Return one world's results, ours and the reference laws', from what is kept where that is possible."""
        mine, theirs = self._digest(True), self._digest(False)
        kept = {law: self.out / f"{world}-{seed}-{law}-{mine}.json" for law in laws}
        reference = self.out / f"{world}-{seed}-reference-{theirs}.json"
        self.out.mkdir(parents=True, exist_ok=True)
        if not all(path.exists() for path in (*kept.values(), reference)):
            with tempfile.TemporaryDirectory(dir=self.out) as work:
                self._play(world, seed, {law: p for law, p in kept.items() if not p.exists()}, reference, Path(work))
        return [_cell(line) for path in (*kept.values(), reference) for line in json.loads(path.read_text())]

    def _play(self, world: str, seed: int, missing: dict[str, Path], reference: Path, work: Path) -> None:
        if missing:
            self._script("worlds.py", world, work, "--seed", seed)
        made = work / f"{world}-{seed}"
        for law, path in missing.items():
            log, scores = work / law, work / f"{law}.json"
            _run([sys.executable, "-m", "load", "sim", "--world", str(made), "--law", law, "--log", str(log)])
            said = self._script("score.py", made, log, "--assert", "--json", scores, leaves=scores)
            broken = [line for line in said.splitlines() if " is outside " in line]
            line = {"world": world, "seed": seed, "law": law, "broken": broken, "metrics": json.loads(scores.read_text()), "ours": True}
            _keep(path, [line])
            shutil.rmtree(log)
        if not reference.exists():
            told = work / "reference.json"
            self._script("reference_laws.py", "--world", world, "--seeds", seed, "--json", told)
            _keep(reference, json.loads(told.read_text()))

    def _script(self, name: str, *arguments: object, leaves: Path | None = None) -> str:
        return _run([sys.executable, str(self.folder / name), *map(str, arguments)], leaves)

    def _digest(self, is_ours: bool) -> str:
        paths = [self.folder / n for n in ("worlds.py", "score.py", "bounds.json")]
        if is_ours:
            root = Path(__file__).parent.parent
            paths += [f for s in SOURCES for f in (sorted((root / s).rglob("*.py")) if (root / s).is_dir() else [root / s])]
        else:
            paths.append(self.folder / "reference_laws.py")
        return sha256(b"".join(p.read_bytes() for p in paths)).hexdigest()[:10]


def judge_all(judge: Judge, worlds: Sequence[str], seeds: Sequence[int], laws: Sequence[str], jobs: int) -> list[Cell]:
    """Judge every world and seed, `jobs` at a time, and say each cell as it is done."""
    judge.check()

    def one(name: str, seed: int) -> list[Cell]:
        cells = judge.judged(name, seed, laws)
        for c in cells:
            if c.is_ours:
                print(f"{c.world:20s} {c.seed:3d} {c.law:13s} {' ; '.join(c.broken) or 'all bounds hold'}", flush=True)
        return cells

    with ThreadPoolExecutor(jobs) as pool:
        futures = [pool.submit(one, name, seed) for name in worlds for seed in seeds]
        return [cell for future in futures for cell in future.result()]


def table(cells: Iterable[Cell], laws: Sequence[str]) -> str:
    """Return a Markdown table, a row for each world: means over seeds of spend over budget and regret in percent.

    Our laws come first, then the judge's; last, of our default law, what else it is judged by, and in how many seeds all
    of its bounds hold.
    """
    cells = list(cells)
    theirs = list(dict.fromkeys(c.law for c in cells if not c.is_ours))
    heads = ["world", *laws, *(f"judge's {law}" for law in theirs)]
    heads += ["captured, TV/h, reversals/h", "availability, ttft, quality burn (worst)", "recovery s (worst)", "bounds hold"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for world in dict.fromkeys(c.world for c in cells):
        here = [c for c in cells if c.world == world]
        row = [world]
        for law, is_ours in [*((law, True) for law in laws), *((law, False) for law in theirs)]:
            runs = [c.metrics for c in here if c.law == law and c.is_ours == is_ours]
            row.append(f"{_mean(runs, 'spend_over_budget'):.3f} / {100 * _mean(runs, 'regret'):.2f}" if runs else "")
        own = [c for c in here if c.law == DEFAULT_LAW and c.is_ours]
        row += _details(own) if own else [""] * 4
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


def _details(own: Sequence[Cell]) -> list[str]:
    runs = [c.metrics for c in own]
    calm = f"{_mean(runs, 'captured'):.3f}, {_mean(runs, 'alpha_tv_per_h'):.2f}, {_mean(runs, 'reversals_per_h'):.1f}"
    burns = ", ".join(f"{max(r[f'{d}_burn'] for r in runs):.3f}" for d in ("availability", "ttft", "quality"))
    faults = [name for name in runs[0] if name.startswith("recovery_s_")]
    recovery = ", ".join(f"{max(r[name] for r in runs):.0f}" for name in faults)
    return [calm, burns, recovery, f"{sum(not c.broken for c in own)} of {len(own)}"]


def _mean(runs: Sequence[dict[str, float]], name: str) -> float:
    return fmean(r[name] for r in runs)


def _cell(line: dict[str, Any]) -> Cell:
    return Cell(line["world"], line["seed"], line["law"], line.get("ours", False), line["metrics"], tuple(line["broken"]))


def _keep(path: Path, lines: list[dict[str, Any]]) -> None:
    """Write whole or not at all: somebody else may be reading, or be interrupted."""
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as part:
        json.dump(lines, part)
    Path(part.name).replace(path)


def _run(command: list[str], leaves: Path | None = None) -> str:
    """Return what a command says; one that `leaves` a file has done its work, whatever its exit status means."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not leaves.exists() if leaves is not None else done.returncode:
        raise JudgeError(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout
