"""One request: what the client gets token by token, what is accounted, where a fault strikes."""

import asyncio
from typing import Any

import pytest

from load.answer import compose
from load.ask import Ask, Endpoint, Text
from load.call import Call, Ending, Limit, Pipe
from load.engine import EventKind
from load.exposition import Meters
from load.frames import DONE, Spent

TEXT = Text(b"hello there", 3)


class Wire(asyncio.Transport):
    """A transport that remembers its writes."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.is_gone = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.is_gone


def made(n: int = 1, tokens: int = 5, limit: Limit | None = None, streamed: bool = True, **options: Any) -> tuple[Call, Wire]:
    wire = Wire()
    ask = Ask(Endpoint.CHAT, "m", (TEXT,), is_streamed=streamed, n=n, output_tokens=tokens, **options)
    call = Call(ask, "chatcmpl-sim1", 1, Meters(), Pipe(wire, is_chunked=False) if streamed else None, limit)
    for i in range(n):
        call.add(compose(ask, TEXT, i), TEXT.tokens, is_first=i == 0, blocks=())
    return call, wire


def play(call: Call, *steps: tuple[int, EventKind, int]) -> None:
    for index, kind, tokens in steps:
        choice = call.choices[index]
        choice.arrived_s = choice.admitted_s = 0.0
        choice.first_s = choice.first_s or 1.0
        call.heard(choice, kind, tokens)


FIRST, MORE, LAST = EventKind.FIRST_TOKEN, EventKind.TOKENS, EventKind.FINISHED


async def test_every_event_is_one_write_and_the_end_is_done() -> None:
    call, wire = made(includes_usage=True)
    play(call, (0, FIRST, 1), (0, MORE, 3))
    assert [w.count(b"data: ") for w in wire.writes] == [2, 3]
    assert not call.over.done()
    play(call, (0, LAST, 1))
    assert b"".join(wire.writes).count(b'"content":" ') == 5
    assert wire.writes[-1].endswith(DONE)
    assert b'"usage":{"prompt_tokens":3,"completion_tokens":5' in wire.writes[-1]
    assert call.over.result() is Ending.WHOLE


async def test_choices_share_the_prompt_and_all_must_end() -> None:
    call, wire = made(n=2)
    assert [c.cached_tokens for c in call.choices] == [0, 2]
    play(call, (0, FIRST, 1), (1, FIRST, 1), (0, LAST, 4))
    assert not call.over.done()
    play(call, (1, LAST, 4))
    assert call.spent() == Spent(3, 10, 0)
    assert b"".join(wire.writes).count(b'"finish_reason":"stop"') == 2
    assert b"".join(wire.writes).count(DONE) == 1


async def test_what_was_used_counts_also_when_it_did_not_end() -> None:
    call, _ = made()
    assert call.spent() == Spent(0, 0, 0)  # nothing was read yet
    play(call, (0, FIRST, 1), (0, MORE, 2))
    assert call.spent() == Spent(3, 3, 0)


@pytest.mark.parametrize("is_cut", [True, False])
async def test_a_fault_lets_so_many_tokens_through_and_no_end(is_cut: bool) -> None:
    call, wire = made(limit=Limit(3, is_cut))
    play(call, (0, FIRST, 1), (0, MORE, 3), (0, LAST, 1))
    sent = b"".join(wire.writes)
    assert sent.count(b'"content":" ') == 3
    assert (b'"finish_reason":"stop"' in sent, DONE in sent) == (False, False)
    assert call.over.done() is is_cut
    assert call.spent().completion_tokens == 5


async def test_a_fault_beyond_the_answer_changes_nothing() -> None:
    call, wire = made(limit=Limit(6, is_cut=True))
    play(call, (0, FIRST, 1), (0, LAST, 4))
    assert call.over.result() is Ending.WHOLE
    assert wire.writes[-1].endswith(DONE)


async def test_a_whole_answer_writes_nothing_on_the_way() -> None:
    call, wire = made(streamed=False)
    play(call, (0, FIRST, 1), (0, LAST, 4))
    assert (call.over.result(), wire.writes) == (Ending.WHOLE, [])


async def test_nothing_is_written_to_a_client_that_is_gone() -> None:
    call, wire = made()
    wire.is_gone = True
    play(call, (0, FIRST, 1), (0, LAST, 4))
    assert wire.writes == []


async def test_an_embedding_reads_and_makes_nothing() -> None:
    call = Call(Ask(Endpoint.EMBEDDING, "m", (TEXT, TEXT)), "e", 1, Meters(), None, None)
    for _ in range(2):
        call.add_read_only(3, ())
    play(call, (0, FIRST, 1), (0, LAST, 0), (1, FIRST, 1), (1, LAST, 0))
    assert call.spent() == Spent(6, 0, 0)
    assert call.over.result() is Ending.WHOLE


def test_chunks_of_the_body_are_framed() -> None:
    wire = Wire()
    pipe = Pipe(wire, is_chunked=True)
    pipe.write(b"0123456789abcdef")
    pipe.write(b"")
    assert wire.writes == [b"10\r\n0123456789abcdef\r\n"]
    assert pipe.sent == [b"0123456789abcdef"]
