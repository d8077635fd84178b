"""Streams are passed on as they came, held until content, and never end like whole ones when they are not."""

import json
from itertools import pairwise
from typing import Any

import pytest

from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.domain.errors import Reason
from gateway.domain.event import Form
from gateway.edges.clock import SystemClock
from gateway.ports import UpstreamFailure
from gateway.wire.meter import Meter
from tests.unit.gateway.pipeline.world import DONE, ERROR, ROLE, STOP, WORD, Client, Script, World, stream


class Stepped(SystemClock):
    """Stands still until told."""

    at_s = 1000.0

    def now_s(self) -> float:
        return self.at_s


def paced(world: World, *chunks: tuple[float, bytes]) -> Script:
    """Return a stream whose chunks come at these seconds on the world's clock."""
    clock = world.clock = world.pipeline.clock = Stepped()
    begun_s = clock.at_s

    def coming() -> Any:
        for at_s, chunk in chunks:
            clock.at_s = begun_s + at_s
            yield chunk

    return Script(coming(), headers=(("content-type", "text/event-stream"),))  # type: ignore[arg-type]


async def test_a_stream_is_held_against_the_pace_that_was_promised():
    slos = build([SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.9, 86_400.0)])
    for second_s, qoe_min, verdict in ((1.2, 0.98, 1), (6.0, 0.0, 0)):
        world = World()
        world.dispatcher = Dispatcher(world.catalog, slos, {}, world.state)
        world.upstream.scripts = [paced(world, (0.5, ROLE), (0.9, WORD), (second_s, WORD), (second_s + 0.1, STOP + DONE))]
        await world.answered(stream=True)
        (outcome,) = world.books.outcomes
        (kept,) = outcome.timelines
        assert outcome.reason is Reason.SERVED and kept.qoe >= qoe_min and outcome.stall_s == pytest.approx(second_s - 0.9)
        assert ((slos[0].bad_field, 1) in world.books.entries) == (not verdict) and (slos[0].valid_field, 1) in world.books.entries
    assert world.state.misses.expect("big", "auto") > 0.04


async def test_a_client_that_reads_slowly_spoils_no_pace():
    world = World()
    slos = build([SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), 0.9, 86_400.0)])
    world.dispatcher = Dispatcher(world.catalog, slos, {}, world.state)
    world.upstream.scripts = [paced(world, (0.9, WORD), (61.0, WORD), (61.1, WORD + STOP + DONE))]

    class Slow(Client):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            if self.got.count(b"word") == 1:
                world.clock.at_s += 60.0  # type: ignore[attr-defined]

    await world.ask(Slow(), stream=True)
    (outcome,) = world.books.outcomes
    assert outcome.stall_s == pytest.approx(0.1) and outcome.timelines[0].qoe > 0.99


JSON = b',"response_format":{"type":"json_object"}'
VALID = build([SloSpec("valid", "quality", Quality.Options("validity"), 0.9, 86_400.0)])


def of_json(*texts: str, finish: bytes = b"stop") -> bytes:
    events = [b'data: {"choices":[{"index":0,"delta":{"content":%b},"finish_reason":null}]}\n\n' % json.dumps(t).encode() for t in texts]
    return ROLE + b"".join(events) + STOP.replace(b"stop", finish) + DONE


@pytest.mark.parametrize(
    ("sent", "more", "form"),
    [
        (of_json('{"a"', ":[1,", '"\u00e9 \\n"]}'), JSON, Form.WHOLE),
        (of_json("Sure! ", "{}"), JSON, Form.NOT_JSON),
        (of_json("Sure! ", "{}"), b',"response_format":{"type":"text"}', Form.WHOLE),
        (of_json("Sure! ", "{}"), b"", Form.WHOLE),
        (of_json('{"a"', finish=b"length"), JSON, Form.CUT),
    ],
)
async def test_a_stream_that_was_asked_for_json_is_judged_however_it_is_cut(sent: bytes, more: bytes, form: Form):
    cuts = [(at,) for at in range(len(sent))] + [(at, at + 40, at + 41) for at in range(0, len(sent), 7)] + [tuple(range(len(sent)))]
    for cut in cuts:
        ends = sorted({0, *cut, len(sent)})
        world = World(stream(*[sent[a:b] for a, b in pairwise(ends) if a < b <= len(sent)]))
        world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
        client = await world.answered(stream=True, more=more)
        assert client.got == sent and client.is_whole and world.is_clean()
        assert world.books.outcomes[0].form is form, cut


async def test_only_a_stream_that_somebody_asks_about_is_written_down(monkeypatch: pytest.MonkeyPatch):
    made: list[int] = []
    monkeypatch.setattr("gateway.pipeline.streamed.Transcript", lambda: made.append(1) or Meter())
    for promised, more, times in ((VALID, JSON, 1), ((), JSON, 0), (VALID, b"", 0)):
        world = World(stream(WORD, WORD, STOP, DONE))
        world.dispatcher = Dispatcher(world.catalog, promised, {}, world.state)
        await world.answered(stream=True, more=more)
        assert len(made) == times
        made.clear()


@pytest.mark.parametrize("ends", [b"", UpstreamFailure(Reason.UPSTREAM_CUT, "cut"), ERROR])
async def test_a_stream_of_json_that_was_not_served_has_no_form(ends: Any):
    world = World(stream(WORD, ends))
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    await world.answered(stream=True, more=JSON)
    assert world.books.outcomes[0].reason is not Reason.SERVED and world.books.outcomes[0].form is None


async def test_a_client_that_leaves_in_the_middle_of_its_json_says_nothing_of_its_form():
    class Leaving(Client):
        async def write(self, data: bytes) -> None:
            await super().write(data)
            self.is_gone = True

    world = World(stream(WORD, WORD, STOP, DONE))
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    await world.ask(Leaving(), stream=True, more=JSON)
    assert [(o.reason, o.form) for o in world.books.outcomes] == [(Reason.CLIENT_CANCELLED, None)] and world.is_clean()


async def test_what_a_failed_attempt_said_is_no_part_of_the_answer():
    world = World(stream(WORD + ERROR), stream(of_json("{}")), backends=2)
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    client = await world.answered(stream=True, more=JSON)
    assert client.headers["x-sluice-attempts"] == "2" and world.books.outcomes[0].form is Form.WHOLE


async def test_a_whole_error_before_it_does_not_hide_a_streams_form():
    world = World(Script((ERROR[6:-2],)), stream(WORD, STOP, DONE), backends=2)
    world.dispatcher = Dispatcher(world.catalog, VALID, {}, world.state)
    client = await world.answered(stream=True, more=JSON)
    assert client.got == WORD + STOP + DONE and world.books.outcomes[0].form is Form.NOT_JSON


async def test_a_stream_is_held_until_content_and_then_passed_on():
    world = World(stream(b": hi\n\n", ROLE, WORD[:10], WORD[10:] + WORD, STOP, DONE))
    client = await world.answered(stream=True)
    assert client.got == b": hi\n\n" + ROLE + WORD + WORD + STOP + DONE and client.is_whole
    assert world.upstream.answers[0].has_begun and world.books.outcomes[0].ttft_s is not None


async def test_a_usage_chunk_that_only_we_asked_for_stays_here():
    usage = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3}}\n\n'
    for more, told in ((b"", b""), (b',"stream_options":{"include_usage":true}', usage)):
        world = World(stream(WORD + STOP + usage + DONE))
        client = await world.answered(stream=True, more=more)
        assert client.got == WORD + STOP + told + DONE and world.books.outcomes[0].prompt_tokens == 7


async def test_a_stream_that_is_compressed_all_the_same_is_passed_on_unread():
    script = Script((b"\x1f\x8b", b"\x00"), headers=(("content-type", "text/event-stream"), ("content-encoding", "gzip")))
    world = World(script)
    client = await world.answered(stream=True)
    assert client.got == b"\x1f\x8b\x00" and client.is_whole and world.books.outcomes[0].is_estimated and world.is_clean()


async def test_an_error_before_content_is_another_attempt_even_after_a_role():
    world = World(stream(ROLE, ERROR), stream(WORD, STOP, DONE), backends=2)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and client.headers["x-sluice-attempts"] == "2"
    assert world.is_clean()


async def test_an_error_in_the_same_read_as_the_first_content_is_still_another_attempt():
    world = World(stream(WORD + ERROR), stream(WORD, STOP, DONE), backends=2)
    client = await world.answered(stream=True)
    assert client.got == WORD + STOP + DONE and world.is_clean()


@pytest.mark.parametrize(
    ("last", "code"),
    [
        (UpstreamFailure(Reason.UPSTREAM_CUT, "cut"), "upstream_cut"),
        (UpstreamFailure(Reason.UPSTREAM_TIMEOUT_IDLE, "idle"), "upstream_timeout_idle"),
        (b"", "upstream_cut"),
        (b"data: " + b"x" * 5_000_000, "upstream_bad_answer"),
    ],
)
async def test_a_failure_after_content_ends_with_an_error_event_and_no_other_attempt(last, code):
    world = World(stream(WORD, WORD, last), backends=2)
    client = await world.answered(stream=True)
    assert client.got.startswith(WORD + WORD) and client.is_whole and b"[DONE]" not in client.got
    error = json.loads(client.got.removeprefix(WORD + WORD).removeprefix(b"data: "))["error"]
    assert error["code"] == code and len(world.upstream.calls) == 1
    outcome = world.books.outcomes[0]
    assert outcome.reason.value == code and outcome.is_estimated and outcome.completion_tokens > 0 and world.is_clean()
