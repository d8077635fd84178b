"""What became of a request, and what is written into the budgets for it."""

from enum import Enum

from gateway.domain.errors import Reason
from gateway.domain.value import Value

Entry = tuple[str, int]
"""A counter's field and what is added to it; dollars are counted in whole nano-dollars (`NANO` of a dollar)."""

NANO = 1_000_000_000
MILLI = 1000
"""Verdicts count by their weight, and predicted losses are fractions: both in whole thousandths."""


class Form(Enum):
    """What is to be seen of an answer without understanding it."""

    WHOLE = "whole"
    EMPTY = "empty"
    """No text, no tool call."""
    CUT = "cut"
    """Ended at the context's end; the client had set no limit."""
    NOT_JSON = "not_json"
    """Not the JSON that the client asked for."""


WHOLE, CUT = Form.WHOLE, Form.CUT
"""As `errors.SERVED`."""


class Timeline(Value, frozen=True):
    """How the text of one stream came, beside when it was expected."""

    first_token_s: float
    """Expected seconds to the first token."""
    tokens_per_s: float
    """Expected pace."""
    qoe: float
    """1: never late; 1 minus mean lateness over mean expected time, 0..1 (`wire/pace.py`)."""


class Outcome(Value, frozen=True):
    """How one request ended, as the client saw it; retries and fallbacks inside count once."""

    reason: Reason
    model: str | None
    """The model that answered; None when none did."""
    ttft_s: float | None = None
    """From the request fully read to the first content; None when no content came or the answer was not streamed."""
    total_s: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Part of the prompt's."""
    is_estimated: bool = False
    """Token counts are estimated from bytes, since the backend reported none."""
    attempts: int = 1
    was_streamed: bool = False
    before_deadline: bool = True
    """For a client that left: whether it left before the class's first-token deadline."""
    billed_usd: float | None = None
    """Dollars when the caller knows the bill (a replayed world); None: from the tokens and the tariff."""
    timelines: tuple[Timeline, ...] = ()
    """Of a stream with content, one per expected timeline that some SLO asks for."""
    stall_s: float = 0.0
    """Longest pause in it, the client's own taken off; 0 when nobody watched."""
    form: Form | None = None
    """Of a served answer; None when nobody looked."""
    switch: int | None = None
    """For a later turn of a known conversation: 0 when it kept its model, k when this was its k-th switch; None for all else."""
    reasoning_tokens: int = 0
    """Part of the completion's: billed with it, seen by nobody."""
