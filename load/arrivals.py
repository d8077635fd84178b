"""When requests come and how long they are: from a recorded trace, from a Poisson process, with bursts.

Everything is an iterator of Arrival in order of time, so that changes of the load are written one after the other:
`bursts(trace(path, end_s=600), at_s=200, for_s=60, times=3, rng=rng)`. Draws come from the generator handed in.
"""

import csv
import gzip
import heapq
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
from numpy.random import Generator

JITTER_S = 1.0
"""A request added by a burst comes this close, at most, to the one that it is a copy of."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request to be: seconds from the start of the load, tokens of its prompt and of its answer."""

    at_s: float
    input_tokens: int
    output_tokens: int
    blocks: tuple[int, ...] = ()
    """Ids of the prompt's leading blocks of 512 tokens, where the trace tells: equal leading ids share a prefix."""


class ArrivalsError(ValueError):
    """A trace cannot be read; the message names file and line."""


Lengths = Callable[[Generator], tuple[int, int]]
"""Draws (input tokens, output tokens) of one request."""


def trace(path: Path, start_s: float = 0.0, end_s: float = float("inf"), times: float = 1.0) -> Iterator[Arrival]:
    """The requests that a trace has in start_s <= at_s < end_s, counted from start_s, at `times` their recorded rate.

    Raises: ArrivalsError, while it is read, as `read_trace` does.
    """
    for arrival in read_trace(path):
        if arrival.at_s >= end_s:
            return
        if arrival.at_s >= start_s:
            yield replace(arrival, at_s=(arrival.at_s - start_s) / times)


def read_trace(path: Path) -> Iterator[Arrival]:
    """Read a trace: CSV with columns arrival_s, input_tokens, output_tokens, or JSON lines with the same keys and hash_ids.

    Either may be gzipped. Requests without an answer (output 0) are failures in the sources and are left out.
    Raises: ArrivalsError when the file is missing, a row is unreadable, or time goes back.
    """
    try:
        with _text(path) as text:
            rows: Iterable[Any] = map(json.loads, text) if ".jsonl" in path.name else csv.DictReader(text)
            last_s = 0.0
            for number, row in enumerate(rows, 1):
                try:
                    arrival = Arrival(
                        float(row["arrival_s"]), int(row["input_tokens"]), int(row["output_tokens"]), tuple(row.get("hash_ids") or ())
                    )
                except (KeyError, TypeError, ValueError) as exc:
                    raise ArrivalsError(f"{path}: request {number} cannot be read ({exc!r})") from exc
                if arrival.at_s < last_s:
                    raise ArrivalsError(f"{path}: request {number} comes before the one ahead of it")
                last_s = arrival.at_s
                if arrival.output_tokens > 0:
                    yield arrival
    except (OSError, EOFError, UnicodeDecodeError, json.JSONDecodeError) as exc:
        raise ArrivalsError(f"{path}: cannot be read ({exc})") from exc


def poisson(
    rate_rps: float,
    duration_s: float,
    rng: Generator,
    input_tokens: float = 1155.0,
    output_tokens: float = 211.0,
    lengths: Lengths | None = None,
) -> Iterator[Arrival]:
    """Requests that know nothing of each other, `rate_rps` a second on average.

    Args:
        input_tokens, output_tokens: means of lognormal lengths; the defaults are those of the Azure chat trace.
        lengths: instead of those, for example `lengths_like(some trace)`.
    """
    draw = lengths or lognormal_lengths(input_tokens, output_tokens)
    at_s = rng.exponential(1 / rate_rps)
    while at_s < duration_s:
        yield Arrival(at_s, *draw(rng))
        at_s += rng.exponential(1 / rate_rps)


def lengths_like(arrivals: Sequence[Arrival]) -> Lengths:
    """Return a draw of the two lengths of one of these requests, so that they stay together."""
    if not arrivals:
        raise ArrivalsError("no requests to take lengths from")

    def draw(rng: Generator) -> tuple[int, int]:
        one = arrivals[int(rng.integers(len(arrivals)))]
        return one.input_tokens, one.output_tokens

    return draw


def lognormal_lengths(input_mean: float, output_mean: float, sigma: float = 0.95) -> Lengths:
    """Return a draw of two independent lognormal lengths with these means; 0.95 is the answers' spread in the Azure chat trace."""

    def draw(rng: Generator) -> tuple[int, int]:
        wide = np.exp(sigma * rng.standard_normal(2) - sigma * sigma / 2)
        return max(1, round(input_mean * wide[0])), max(1, round(output_mean * wide[1]))

    return draw


def bursts(arrivals: Iterable[Arrival], at_s: float, for_s: float, times: float, rng: Generator) -> Iterator[Arrival]:
    """Multiply the rate by `times` >= 0 inside a window; the rest of the load is untouched.

    Above 1, requests of the window are added again, drawn with replacement and moved by up to JITTER_S, so that the window
    keeps its shape and its mix of lengths; the number added is `times - 1` of those there, its fraction drawn. Below 1, each
    request stays with probability `times`.
    """
    window: list[Arrival] = []
    is_open = True
    for arrival in arrivals:
        if at_s <= arrival.at_s < at_s + for_s:
            window.append(arrival)
            continue
        if is_open and arrival.at_s >= at_s + for_s:
            is_open = False
            yield from _multiplied(window, at_s, at_s + for_s, times, rng)
        yield arrival
    if is_open:
        yield from _multiplied(window, at_s, at_s + for_s, times, rng)


def _multiplied(window: list[Arrival], start_s: float, end_s: float, times: float, rng: Generator) -> Iterator[Arrival]:
    if times <= 1:
        return (arrival for arrival in window if rng.random() < times)
    more = int((times - 1) * len(window) + rng.random())
    picked = [window[int(i)] for i in rng.integers(len(window), size=more)] if window else []
    last_s = float(np.nextafter(end_s, start_s))
    moved = [replace(a, at_s=min(max(start_s, a.at_s + rng.uniform(-JITTER_S, JITTER_S)), last_s)) for a in picked]
    return heapq.merge(window, sorted(moved, key=_at_s), key=_at_s)


def _at_s(arrival: Arrival) -> float:
    return arrival.at_s


def _text(path: Path) -> IO[str]:
    return cast(IO[str], gzip.open(path, "rt", encoding="utf-8")) if path.suffix == ".gz" else path.open(encoding="utf-8")
