"""What `splice` must keep, for bodies in any spelling: all bytes but those it is there to replace."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.wire.members import members
from gateway.wire.request import decode, splice

KEYS = st.sampled_from(["model", "messages", "sluice", "stream", "x", 'say "model', "mode", "ключ", "", "a\\"]) | st.text(
    st.characters(codec="utf-8"), max_size=8
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=20)
    | st.sampled_from(['"model":"x"', "{[", "]}", "\\"])
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
SPACES = st.sampled_from(["", "", "", " ", "\n\t", "\r "])
CONTROLLED = (
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
    "prompt",
    "input",
    "tools",
    "functions",
    "response_format",
    "sluice",
)


def spelled(draw: st.DrawFn, value: Any, is_plain: bool) -> str:
    """The JSON of a value in one of its many spellings: spaces anywhere and, unless plain, escapes for any character."""
    if is_plain and not isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str):
        return '"' + "".join(draw(st.sampled_from((json.dumps(char, ensure_ascii=False)[1:-1], escaped(char)))) for char in value) + '"'
    if isinstance(value, list):
        return "[" + ",".join(draw(SPACES) + spelled(draw, item, is_plain) + draw(SPACES) for item in value) + "]"
    if isinstance(value, dict):
        return "{" + ",".join(member(draw, key, item, is_plain) for key, item in value.items()) + "}"
    return json.dumps(value)


def member(draw: st.DrawFn, key: str, value: Any, is_plain: bool) -> str:
    spaces = [draw(SPACES) for _ in range(4)]
    return f"{spaces[0]}{spelled(draw, key, is_plain)}{spaces[1]}:{spaces[2]}{spelled(draw, value, is_plain)}{spaces[3]}"


def escaped(char: str) -> str:
    units = char.encode("utf-16-be")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


@st.composite
def chats(draw: st.DrawFn) -> tuple[str, dict[str, Any]]:
    """A chat body and its value: any order, unknown members (repeated too), our hints, stream options."""
    message = st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "system"]), "content": VALUES}, optional={"model": VALUES, "messages": VALUES}
    )
    known = {"model": draw(st.text(st.characters(codec="utf-8"), max_size=10)), "messages": draw(st.lists(message, min_size=1, max_size=3))}
    known |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "stream": st.booleans() | st.none(),
                "stream_options": st.none() | st.fixed_dictionaries({}, optional={"include_usage": st.booleans() | st.none(), "x": VALUES}),
                "max_tokens": st.integers(0, 99),
                "tools": st.lists(VALUES, max_size=2),
                "sluice": VALUES,
            },
        )
    )
    others = draw(st.lists(st.tuples(KEYS.filter(lambda key: key not in CONTROLLED and key.lower() != "model"), VALUES), max_size=4))
    is_plain = draw(st.booleans())
    parts = draw(st.permutations([*known.items(), *others]))
    return draw(SPACES) + "{" + ",".join(member(draw, key, value, is_plain) for key, value in parts) + "}" + draw(SPACES), known


@st.composite
def members_of(draw: st.DrawFn, key: str, value: Any) -> str:
    return member(draw, key, value, draw(st.booleans()))


@given(chats(), st.text(st.characters(codec="utf-8"), max_size=10), st.booleans())
def test_parsing_what_was_spliced_gives_what_was_sent_with_the_model_replaced(
    chat: tuple[str, dict[str, Any]], name: str, include_usage: bool
):
    body, known = chat
    decoded = decode(Endpoint.CHAT, body.encode())
    assert decoded.model == known["model"]
    expected = {**json.loads(body), "model": name}
    expected.pop("sluice", None)
    if include_usage and known.get("stream"):
        expected["stream_options"] = {**(expected.get("stream_options") or {}), "include_usage": True}
    assert json.loads(splice(decoded, name, include_usage)) == expected


@given(chats())
def test_every_member_but_the_model_keeps_its_bytes(chat: tuple[str, dict[str, Any]]):
    body = chat[0].encode()
    sent = splice(decode(Endpoint.CHAT, body), "other", False)

    def spans(text: bytes) -> list[tuple[bytes, bytes]]:
        return [
            (text[m.key_start : m.key_end], text[m.value_start : m.value_end]) for m in members(text) if m.key not in ("model", "sluice")
        ]

    assert spans(sent) == spans(body)


@given(chats().filter(lambda chat: "sluice" not in chat[1]))
def test_outside_of_the_one_value_all_bytes_are_identical(chat: tuple[str, dict[str, Any]]):
    body = chat[0].encode()
    sent = splice(decode(Endpoint.CHAT, body), "\0", False)
    at = sent.index(b'"\\u0000"', 0) if b'"\\u0000"' not in body else -1
    if at >= 0:
        head, tail = sent[:at], sent[at + len(b'"\\u0000"') :]
        assert body.startswith(head) and body.endswith(tail)
        assert json.loads(body[len(head) : len(body) - len(tail)]) == chat[1]["model"]


@given(chats(), st.sampled_from(CONTROLLED), st.data())
def test_a_controlled_key_that_stands_twice_in_any_spelling_is_refused(chat: tuple[str, dict[str, Any]], key: str, data: st.DataObject):
    body, known = chat
    value = known.get(key, [{"role": "user"}] if key == "messages" else None)
    pairs = [data.draw(members_of(key, value)) for _ in range(1 if key in known else 2)]
    inside = body.strip()[1:-1]
    twice = "{" + ",".join([pairs[0], inside, *pairs[1:]]) + "}"
    with pytest.raises(GatewayError) as caught:
        decode(Endpoint.CHAT, twice.encode())
    assert caught.value.reason is Reason.AMBIGUOUS_REQUEST


@given(
    st.binary(max_size=60) | chats().flatmap(lambda chat: st.integers(0, len(chat[0])).map(lambda cut: chat[0].encode()[:cut])),
    st.sampled_from(Endpoint),
)
def test_no_bytes_bring_anything_but_an_answer_or_a_refusal(body: bytes, endpoint: Endpoint):
    try:
        decoded = decode(endpoint, body)
    except GatewayError as error:
        assert error.reason in (Reason.BAD_JSON, Reason.BAD_REQUEST, Reason.AMBIGUOUS_REQUEST)
    else:
        assert isinstance(decoded.prompt_text, str) and len(decoded.conversation_key) == 16


@given(chats())
def test_the_scored_text_and_the_sizes_are_those_of_the_parsed_body(chat: tuple[str, dict[str, Any]]):
    body, known = chat
    decoded = decode(Endpoint.CHAT, body.encode())
    assert decoded.turns == sum(message["role"] == "user" for message in known["messages"])
    strings = [m["content"] for m in known["messages"] if m["role"] == "user" and isinstance(m["content"], str) and m["content"]]
    if strings and known["messages"][-1].get("content") == strings[-1] and known["messages"][-1]["role"] == "user":
        assert decoded.prompt_text == strings[-1]
    assert 0 <= decoded.text_bytes <= len(body.encode()) + len("null") * 3
