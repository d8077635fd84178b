"""One request inside a simulated backend: its jobs in the engine, what of them the client gets, and how it ends.

Tokens of a tick go to the transport in one write, framed as a chunk of the HTTP body here: the server's own writer would
cost a task switch per write. The transport buffers what a slow reader leaves, at most one answer.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from load.answer import Answer
from load.ask import Ask, Endpoint
from load.engine import EngineEvent, EventKind
from load.exposition import Meters
from load.frames import DONE, Frames, Spent, usage_frame
from load.pacer import PacedJob


class Ending(Enum):
    """How the engine's part of a call ended."""

    WHOLE = "whole"
    CUT = "cut"


@dataclass(slots=True)
class Limit:
    """A fault that strikes in the middle of an answer."""

    tokens: int
    """Tokens that still come through."""
    is_cut: bool
    """Whether the connection is closed then; otherwise it stays open in silence."""


@dataclass(slots=True)
class Pipe:
    """The way to one client: bytes handed over are sent, unless it is gone."""

    transport: asyncio.Transport
    is_chunked: bool
    sent: list[bytes] = field(default_factory=list)

    def write(self, data: bytes) -> None:
        """Send part of the body."""
        if data and not self.transport.is_closing():
            self.sent.append(data)
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.is_chunked else data)


class Choice(PacedJob):
    """One choice of one prompt's answer; the first of a prompt reads it, the others find it read."""

    __slots__ = ("answer", "call", "frames", "made")

    def __init__(
        self, call: "Call", answer: Answer, frames: Frames | None, prompt_tokens: int, cached: int, blocks: Sequence[object]
    ) -> None:
        super().__init__(prompt_tokens, answer.tokens, cached, blocks)
        self.call, self.answer, self.frames, self.made = call, answer, frames, 0

    def heard(self, event: EngineEvent[PacedJob]) -> None:
        """Hand the event to the call."""
        self.call.heard(self, event.kind, event.tokens)


class Call:
    """One request being answered; `over` is set when there is nothing left to send."""

    def __init__(self, ask: Ask, name: str, created: int, meters: Meters, pipe: Pipe | None, limit: Limit | None) -> None:
        self.ask, self.name, self.created, self.pipe = ask, name, created, pipe
        self.over: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self.choices: list[Choice] = []
        self._meters, self._limit, self._open, self._said = meters, limit, 0, 0

    def add(self, answer: Answer, text_tokens: int, is_first: bool, blocks: Sequence[object]) -> None:
        """Prepare one choice."""
        frames = Frames(self.ask, self.name, self.created, len(self.choices)) if self.pipe is not None else None
        cached = 0 if is_first else text_tokens - 1
        self.choices.append(Choice(self, answer, frames, text_tokens, cached, blocks if is_first else ()))
        self._open += 1

    def add_read_only(self, text_tokens: int, blocks: Sequence[object]) -> None:
        """Prepare a text that is read and not answered: an embedding."""
        self.add(Answer(1, "stop"), text_tokens, is_first=True, blocks=blocks)

    def heard(self, choice: Choice, kind: EventKind, tokens: int) -> None:
        """Send what became due for one choice and notice the end."""
        start, choice.made = choice.made, choice.made + tokens
        if kind is EventKind.FIRST_TOKEN:
            self._meters.first_token(choice)
        if self.ask.endpoint is not Endpoint.EMBEDDING:
            self._meters.generation_tokens += tokens
        if self.over.done():
            return
        allowed = tokens if self._limit is None else max(0, min(tokens, self._limit.tokens - self._said))
        self._said += allowed
        if choice.frames is not None and self.pipe is not None:
            data = choice.frames.first() if kind is EventKind.FIRST_TOKEN and allowed else b""
            data += choice.frames.tokens(choice.answer.pieces(start, start + allowed)) if allowed else b""
            if kind is EventKind.FINISHED and allowed == tokens and not self._is_struck():
                data += choice.frames.last(choice.answer.finish_reason)
            self.pipe.write(data)
        if kind is EventKind.FINISHED:
            self._open -= 1
            self._meters.finish(choice, choice.answer.finish_reason)
        if self._is_struck():
            if self._limit is not None and self._limit.is_cut:
                self.over.set_result(Ending.CUT)
        elif self._open == 0:
            if self.pipe is not None:
                usage = usage_frame(self.ask, self.name, self.created, self.spent()) if self.ask.includes_usage else b""
                self.pipe.write(usage + DONE)
            self.over.set_result(Ending.WHOLE)

    def spent(self) -> Spent:
        """Tokens so far: prompts that were read, tokens that were made."""
        firsts = [c for i, c in enumerate(self.choices) if i % self.ask.n == 0 and c.first_s is not None]
        made = 0 if self.ask.endpoint is Endpoint.EMBEDDING else sum(c.made for c in self.choices)
        return Spent(sum(c.prompt_tokens for c in firsts), made, sum(c.cached_tokens for c in firsts))

    def _is_struck(self) -> bool:
        return self._limit is not None and self._said >= self._limit.tokens
