"""What serving costs and promises, measured on an artifact: speed, equality with scikit-learn, refusal of damage, light imports."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router_models.artifact import ARRAYS_FILE, CARD_FILE, Artifact, ArtifactError, load, save
from router_models.recipe import Recipe
from router_models.routers.base import FamilyRouter
from router_models.routers.logistic import LogisticFitter, LogisticRouter
from router_models.table import ScoreTable
from router_models.train import train

HEAVY = ("sklearn", "scipy", "pandas", "pyarrow")
"""Libraries that must not be imported to serve."""
CALLS = 2000
ROUNDS = 5
CORRUPTIONS = 60
IMPORTS = 5
CHARACTERS = 315
"""Median length of an MMLU prompt."""


def microseconds(router: FamilyRouter, prompts: Sequence[str]) -> NDArray[np.float64]:
    """Return the CPU microseconds of one answer, CALLS times over the prompts in turn, warm, in this thread.

    CPU time, because on a machine that does other things as well the wall clock measures those; of ROUNDS rounds the one with the least
    median, because neighbours on the same core only ever add; less what reading the clock costs.
    """
    rounds = [_round(router.quality_one, prompts, CALLS) for _ in range(ROUNDS)]
    clock = float(np.median(_round(lambda _: None, prompts, CALLS)))
    least: NDArray[np.float64] = min(rounds, key=np.median)
    return np.maximum(least - clock, 0.0)


def _round(answer: Callable[[str], object], prompts: Sequence[str], calls: int) -> NDArray[np.float64]:
    taken = np.empty(calls)
    for i in range(calls):
        prompt = prompts[i % len(prompts)]
        begin = time.thread_time_ns()
        answer(prompt)
        taken[i] = (time.thread_time_ns() - begin) / 1e3
    return taken


def prompts_per_second(router: FamilyRouter, prompts: Sequence[str]) -> float:
    """Return how many prompts a second of CPU time answers, in one batch; the best of ROUNDS."""
    taken = []
    for _ in range(ROUNDS):
        begin = time.thread_time()
        router.quality(prompts)
        taken.append(time.thread_time() - begin)
    return len(prompts) / min(taken)


def of_length(table: ScoreTable, characters: int, rows: int = 200) -> list[str]:
    """Return prompts of about that length: real ones where there are enough, else real ones joined and cut."""
    near = [prompt for prompt in table.prompts if abs(len(prompt) - characters) <= 0.05 * characters][:rows]
    if len(near) >= rows // 4:
        return near
    text = "\n\n".join(table.prompts[:2000])
    return [text[at : at + characters] for at in range(0, min(len(text) - characters, rows * 97), 97)]


def exported_difference(recipe: Recipe, table: ScoreTable) -> float:
    """Return the largest difference of a logit between the served router and the scikit-learn heads that it was exported from."""
    rows = np.arange(len(table))
    fit = LogisticFitter(table, recipe.options, {}).fit(rows)
    router = fit.router(fit.signals(rows), rows)
    assert isinstance(router, LogisticRouter)
    served = np.array([router.logits(prompt) for prompt in table.prompts])
    expected = np.column_stack([head.decision_function(fit.inputs(rows)) for head in fit.heads])
    return float(np.abs(served - expected).max())


def refused_corruptions(artifact: Artifact, seed: int = 1) -> int:
    """Return how many of CORRUPTIONS damaged copies of an artifact `load` refuses with an ArtifactError."""
    rng = np.random.default_rng(seed)
    refused = 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        save(whole, artifact.card, artifact.router.arrays())
        for number in range(CORRUPTIONS):
            name = (ARRAYS_FILE, CARD_FILE)[number % 2]
            folder = Path(shutil.copytree(whole, Path(place) / str(number)))
            raw = bytearray((whole / name).read_bytes())
            _DAMAGE[number // 2 % len(_DAMAGE)](raw, int(rng.integers(len(raw) // 8, len(raw) - 8)))
            (folder / name).write_bytes(raw)
            try:
                load(folder)
            except ArtifactError:
                refused += 1
            shutil.rmtree(folder)
    return refused


def _flip(raw: bytearray, at: int) -> None:
    raw[at] ^= 0x55


def _cut(raw: bytearray, at: int) -> None:
    del raw[at:]


def _insert(raw: bytearray, at: int) -> None:
    raw[at:at] = b"\x07{"


def _swap(raw: bytearray, at: int) -> None:
    raw[at : at + 8] = bytes(byte ^ 0x0F for byte in raw[at : at + 8])


_DAMAGE: tuple[Callable[[bytearray, int], None], ...] = (_flip, _cut, _insert, _swap)


def import_cost() -> tuple[float, tuple[str, ...]]:
    """Return the median CPU milliseconds of importing the serving side in a fresh process, numpy included, and heavy imports found."""
    code = (
        "import sys, time; begin = time.process_time(); import router_models.artifact; "
        f"print((time.process_time() - begin) * 1e3, *[name for name in {HEAVY} if name in sys.modules])"
    )
    outputs = [
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split() for _ in range(IMPORTS)
    ]
    return float(np.median([float(words[0]) for words in outputs])), tuple(sorted({name for words in outputs for name in words[1:]}))


def trained_on(recipe: Recipe, table: ScoreTable) -> Artifact:
    """Train the recipe on the table and return it as an artifact that was saved and loaded."""
    made = train(recipe, table, [], lambda _: None)
    with tempfile.TemporaryDirectory() as place:
        save(Path(place), made.card, made.router.arrays())
        return load(Path(place))
