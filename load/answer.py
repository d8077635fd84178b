"""What a simulated model says: so many tokens of made-up text, or a value that obeys a schema; the same for the same request.

Lengths of plain answers are lognormal, drawn from the SHA-256 of the prompt, unless the harness dictates them; the limit of
the request caps both. Tokens are fragments that are ready to stand inside a JSON string.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import msgspec

from load.ask import BYTES_PER_TOKEN, Ask, BadRequest, Text
from load.instance import SchemaError, instance

OUTPUT_TOKENS_MEAN = 211.0
OUTPUT_TOKENS_SIGMA = 0.95
"""Mean and spread of the answers in the Azure 2023 conversation trace (p50 129 there, 134 here)."""
OUTPUT_TOKENS_MAX = 16_384

_WORDS = tuple(
    """
the of and to in is that it was for on are as with they at be this from have or by one had not but what all were when we there
can an your which their said if do will each about how up out them then she many some so these would other into has more her
two like him see time could no make than first been its who now people my made over did down only way find use may water long
little very after words called just where most know get through back much go good new write our me man too any day same right
""".split()  # noqa: SIM905
)
_TEXT = tuple((" " + _WORDS[(i * i * 7 + i * 31 + i // 61) % len(_WORDS)]).encode() for i in range(1024))
"""The endless text: a thousand tokens, over and over."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One choice of a response."""

    tokens: int
    finish_reason: str
    offset: int = 0
    """Where in the endless made-up text it begins."""
    fixed: tuple[bytes, ...] = ()
    """Its fragments when the text is not made up."""

    def pieces(self, start: int, end: int) -> Sequence[bytes]:
        """Return the fragments of the tokens start..end-1, escaped for a JSON string."""
        if self.fixed:
            return self.fixed[start:end]
        return [_TEXT[(self.offset + i) % len(_TEXT)] for i in range(start, end)]


def drawn_tokens(content: bytes, mean: float = OUTPUT_TOKENS_MEAN, sigma: float = OUTPUT_TOKENS_SIGMA) -> int:
    """Return the length of the answer to a prompt: lognormal with that mean, the same for the same prompt."""
    u = (int.from_bytes(hashlib.sha256(content).digest()[:7]) + 0.5) / 2**56
    return min(OUTPUT_TOKENS_MAX, max(1, round(math.exp(math.log(mean) - sigma * sigma / 2 + sigma * NormalDist().inv_cdf(u)))))


def compose(ask: Ask, text: Text, choice: int, mean: float = OUTPUT_TOKENS_MEAN, sigma: float = OUTPUT_TOKENS_SIGMA) -> Answer:
    """Compose one choice of the answer to one prompt.

    Raises: BadRequest when the schema to obey cannot be met.
    """
    schema = ask.tool.schema if ask.tool else ask.schema
    if schema is not None:
        try:
            value = msgspec.json.encode(instance(schema)).decode()
        except SchemaError as exc:
            raise BadRequest(f"Invalid schema: {exc}", "tools" if ask.tool else "response_format", "invalid_json_schema") from exc
        pieces = tuple(_escaped(value[i : i + BYTES_PER_TOKEN]) for i in range(0, len(value), BYTES_PER_TOKEN))
        return _capped(ask, len(pieces), 0, pieces, "tool_calls" if ask.tool else "stop")
    digest = hashlib.blake2b(text.content, digest_size=4, key=choice.to_bytes(4)).digest()
    offset, tokens = int.from_bytes(digest) % len(_TEXT), ask.output_tokens or drawn_tokens(text.content, mean, sigma)
    if ask.stop:
        tokens = _stopped(offset, tokens, ask.stop)
    return _capped(ask, tokens, offset, (), "stop")


def _capped(ask: Ask, tokens: int, offset: int, fixed: tuple[bytes, ...], finish_reason: str) -> Answer:
    if ask.tokens_max is not None and tokens > ask.tokens_max:
        return Answer(ask.tokens_max, "length", offset, fixed[: ask.tokens_max])
    return Answer(tokens, finish_reason, offset, fixed)


def _stopped(offset: int, tokens: int, stop: tuple[str, ...]) -> int:
    """Return how many tokens come before the first stop sequence, at least one: an answer is never empty."""
    said = ""
    for i in range(tokens):
        said += _TEXT[(offset + i) % len(_TEXT)].decode()
        if any(sequence in said for sequence in stop):
            return max(1, i)
    return tokens


def _escaped(text: str) -> bytes:
    return msgspec.json.encode(text)[1:-1]
