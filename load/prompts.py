"""What is asked: questions with known scores that no shipped router was trained on, at the length that a trace wants.

A trace tells how long its prompts were, not what they said. The question comes from the scored MMLU file, from the fold
that training leaves out (`router_models.split`). It is the user's message, whole and unchanged, because that message is what
a router scores; the tokens that the trace has above it are a neutral system message, like the documents and instructions that make
real prompts long. Its first line carries a number, so that conversations stay apart and no prefix is shared by accident. A
question longer than the trace's prompt stays as long as it is.

Tokens are counted as bytes / 4 everywhere in this harness, which is also how the simulated backends count.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import Generator

from router_models.data import DataError, read_scores
from router_models.split import HELD_OUT_FOLD, fold

BYTES_PER_TOKEN = 4
MMLU = Path("routing/routellm_mmlu_public80.parquet")
"""Inside the data folder; its `score.` columns hold MODELS."""
MODELS = ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1")
"""Strong, weak."""
DATA_VARIABLE = "SLUICE_DATA"

_NEUTRAL = (
    "The following notes were collected for reference and contain no instructions. "
    "The meeting room on the second floor is free on most mornings. "
    "Deliveries arrive at the side door and are signed for at the desk. "
    "The list of names is kept in order and checked at the end of each month. "
    "Old folders are moved to the lower shelf when there is no more space. "
    "The lights in the corridor are switched off in the evening. "
    "Visitors are asked to wait near the entrance until somebody comes. "
    "The plants by the window are watered twice a week. "
)


class PromptsError(RuntimeError):
    """The questions cannot be had; the message is one line and says what to do."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and, where known, how well (strong, weak) answered it, each 0..1."""

    text: str
    group: str = ""
    scores: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Prompt:
    """One chat to send, with the tokens of all its messages together."""

    question: Question
    messages: tuple[dict[str, str], ...]
    prompt_tokens: int


class Prompts:
    """Endless prompts: the questions in a drawn order, again and again."""

    def __init__(self, questions: Sequence[Question], rng: Generator) -> None:
        if not questions:
            raise PromptsError("there are no questions to ask")
        self._questions, self._order, self._taken = questions, rng.permutation(len(questions)), 0

    def take(self, prompt_tokens: int) -> Prompt:
        """Return the next question as a chat of that many tokens, of more when the question alone is longer."""
        question = self._questions[int(self._order[self._taken % len(self._order)])]
        self._taken += 1
        return padded(question, prompt_tokens, self._taken)


def padded(question: Question, prompt_tokens: int, number: int) -> Prompt:
    """Return the chat of one question; `number` tells its padding from that of others."""
    asked = {"role": "user", "content": question.text}
    asked_bytes = len(question.text.encode())
    head = f"Reference notes {number:08d}.\n"
    missing = prompt_tokens * BYTES_PER_TOKEN - asked_bytes
    if missing < len(head):
        return Prompt(question, (asked,), max(1, round(asked_bytes / BYTES_PER_TOKEN)))
    notes = head + (_NEUTRAL * ((missing - len(head)) // len(_NEUTRAL) + 1))[: missing - len(head)]
    return Prompt(question, ({"role": "system", "content": notes}, asked), prompt_tokens)


def open_prompts(kind: str, rng: Generator, data: Path | None = None) -> Prompts:
    """Return prompts by the name that a scenario gives them: `mmlu` or `generated`.

    Raises: PromptsError for another name, or when the data or what reads it is missing.
    """
    if kind == "mmlu":
        return Prompts(held_out(data), rng)
    if kind == "generated":
        return Prompts(generated(2000, rng), rng)
    raise PromptsError(f"prompts of kind {kind!r} are none of mmlu, generated")


def held_out(data: Path | None = None) -> list[Question]:
    """Read the questions of the held-out fold, scored.

    Args: data: folder of the public data; None takes the environment's SLUICE_DATA.
    Raises: PromptsError.
    """
    folder = data or (Path(named) if (named := os.environ.get(DATA_VARIABLE)) else None)
    if folder is None:
        raise PromptsError(f"questions of kind mmlu need the data folder: set {DATA_VARIABLE}, or ask for generated ones")
    path = folder / MMLU
    if not path.is_file():
        raise PromptsError(f"{path} is missing: {DATA_VARIABLE} must name the data folder, or ask for generated questions")
    try:
        table = read_scores(path, MODELS, drop_where="routellm_excluded").table
    except ImportError as exc:
        raise PromptsError(f"reading {path.name} needs pyarrow: pip install 'sluicegate[train]'") from exc
    except DataError as exc:
        raise PromptsError(str(exc)) from exc
    return [
        Question(prompt, group, (float(scores[0]), float(scores[1])))
        for prompt, group, scores in zip(table.prompts, table.groups, table.scores, strict=True)
        if fold(prompt) == HELD_OUT_FOLD
    ]


_EASY = ("name the capital of", "give the plural of", "say the colour of", "spell the word for", "translate into French:")
_HARD = (
    "derive, with all intermediate steps, the integral behind",
    "prove the theorem about",
    "explain the enzyme kinetics of",
    "compare the statutes on",
)
_CLAUSES = (
    "state every assumption that you make",
    "give the counterexample when one condition is dropped",
    "say which step would fail in two dimensions",
    "compare the result with the classical case",
    "show where the estimate is sharp",
)
CLAUSES_MAX = 24
_THINGS = ("a river", "the moon", "a bridge", "an old map", "the harvest", "a lantern", "the tide", "a violin", "copper", "the archive")


def generated(count: int, rng: Generator) -> list[Question]:
    """Make up questions whose hardness shows in words and length: the weak model fails on hard ones, the strong one seldom.

    Hard ones carry a drawn number of further clauses, so that a router that only sees lengths still tells them apart.

    The scores are drawn (strong right with 0.92 / 0.78, weak with 0.88 / 0.42 on easy / hard); they mean nothing about any real model.
    """
    made = []
    for number in range(count):
        is_hard = rng.random() < 0.5
        ask = str(rng.choice(_HARD if is_hard else _EASY))
        right = (0.78, 0.42) if is_hard else (0.92, 0.88)
        more = [str(rng.choice(_CLAUSES)) for _ in range(int(rng.integers(CLAUSES_MAX)))] if is_hard else []
        text = f"Question {number}: please {'; '.join([f'{ask} {rng.choice(_THINGS)} and {rng.choice(_THINGS)}', *more])}."
        scores = np.asarray(rng.random(2) < right, dtype=float)
        made.append(Question(text, "hard" if is_hard else "easy", (float(scores[0]), float(scores[1]))))
    return made
