"""The decision record: what a log line must hold so that the decision can be made again, and how it is.

Records are tuples on the hot path and become JSON objects when the log is written. Two kinds: `prices` (a version that
came into force, with the gains of its routes) and `decision`.
"""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import astuple

from gateway.core.pricing.terms import terms_of
from gateway.core.pricing.threshold import Gain
from gateway.core.routing.route import Question, choose
from gateway.domain.decision import Choice
from gateway.domain.expectation import Expectation
from gateway.domain.prices import Prices

EXPECTATION_FIELDS = ("model", "quality", "success", "late", "usd", "completion_tokens", "stall", "breaks")
PRICES_FIELDS = ("kind", "wall_s", "prices", "gains", "config_hash")
RECORD_FIELDS = (
    "kind", "wall_s", "request_id", "endpoint", "tenant", "class", "class_value", "route", "named", "prices_version",
    "expectations", "usable", "trial", "draws", "client_threshold", "may_set_threshold", "pin", "mode",
    "choice", "why", "scores", "margin", "win_rate", "threshold",
    "model", "backend", "attempts", "reason", "ttft_s", "total_s", "queued_s", "prompt_tokens", "completion_tokens", "cached_tokens",
    "usd", "estimated",
)  # fmt: skip
"""`choice` is what was decided, `model` what answered in the end (another after a fallback, or in observe mode)."""
_Line = msgspec.defstruct("_Line", RECORD_FIELDS, gc=False)
_VERSION = RECORD_FIELDS.index("prices_version")


def as_json(record: tuple[Any, ...]) -> tuple[int | None, bytes]:
    """Return the version of the prices that a record belongs to, and the record as JSON, the same as `as_line`; 2 us for a decision."""
    if record[0] == "prices":
        return record[2].version, msgspec.json.encode(as_line(record))
    return record[_VERSION], msgspec.json.encode(_Line(*record))


def as_line(record: tuple[Any, ...]) -> dict[str, Any]:
    """Return a record as plain data, ready for JSON."""
    if record[0] == "prices":
        line = dict(zip(PRICES_FIELDS, record, strict=True))
        line["prices"] = record[2].as_json()
        line["gains"] = {route: [list(k) for k in gain.knots] for route, gain in record[3].items()}
        return line
    line = dict(zip(RECORD_FIELDS, record, strict=True))
    line["expectations"] = [list(astuple(e)) for e in line["expectations"]]
    return line


def redecide(line: Mapping[str, Any], prices: Prices, gain: Gain) -> Choice:
    """Make a logged decision again.

    Args:
        line: a `decision` line.
        prices: the set with the line's `prices_version`.
        gain: the gain of the line's route, from the same `prices` line.
    """
    question = Question(
        expectations=tuple(Expectation(*e) for e in line["expectations"]),
        usable=tuple(line["usable"]),
        trial=tuple(line["trial"]),
        klass_value=line["class_value"],
        draws=(line["draws"][0], line["draws"][1]),
        client_threshold=line["client_threshold"],
        may_set_threshold=line["may_set_threshold"],
        pin=line["pin"],
    )
    return choose(question, terms_of(prices, line["route"]), gain)


def is_same(line: Mapping[str, Any], choice: Choice) -> bool:
    """Return whether a choice made again equals the logged one, to the last bit of every number."""
    logged = (line["choice"], line["why"], tuple(line["scores"]), line["margin"], line["win_rate"], line["threshold"])
    return logged == (choice.model, choice.reason, tuple(choice.scores), choice.margin, choice.win_rate, choice.threshold)
