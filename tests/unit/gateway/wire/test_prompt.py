import json

import pytest
from msgspec import Raw

from gateway.domain.errors import GatewayError
from gateway.wire.prompt import read_conversation, read_prompts


def chat(*messages: object):
    return read_conversation(Raw(json.dumps(messages, ensure_ascii=False).encode()))


def said(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def test_the_newest_question_is_scored_and_nothing_before_it():
    talk = chat(said("system", "be brief"), said("user", "first"), said("assistant", "answer"), said("user", "second"))
    assert (talk.text, talk.turns) == ("second", 2)


def test_tool_results_after_the_question_do_not_replace_it():
    assert chat(said("user", "book a flight"), said("assistant", None), said("tool", '{"price": 3}')).text == "book a flight"


def test_text_parts_are_joined_and_an_image_only_message_gives_way_to_the_text_before_it():
    parts = [
        {"type": "text", "text": "what is"},
        {"type": "image_url", "image_url": {"url": "data:..."}},
        {"type": "text", "text": "this?"},
    ]
    assert chat(said("user", parts)).text == "what is\nthis?"
    assert chat(said("user", "look"), said("user", [{"type": "image_url", "image_url": {"url": "u"}}])).text == "look"
    assert chat(said("user", [{"type": "image_url", "image_url": {"url": "u"}}])).text == ""


def test_when_no_user_speaks_the_last_text_of_anybody_is_scored():
    assert chat(said("system", "one"), said("developer", "two")).text == "two"


def test_bytes_are_counted_as_json_spells_them_and_images_are_not():
    talk = chat(
        said("user", 'a"b'), said("user", [{"type": "text", "text": "grüß"}, {"type": "image_url", "image_url": {"url": "x" * 999}}])
    )
    assert talk.string_bytes == len('a\\"b')
    assert talk.other_bytes == len('"grüß"'.encode()) + len("null")


def test_tool_calls_count_as_text():
    call = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    assert chat({"role": "assistant", "content": None, "tool_calls": call}).other_bytes == len(json.dumps(call))


@pytest.mark.parametrize("content", [7, None, {"text": "x"}, ["x"], [{"text": 7}], True])
def test_contents_of_other_types_have_no_text_and_do_no_harm(content: object):
    assert chat(said("user", content)).text == ""


def test_the_key_stays_while_a_conversation_grows_and_differs_otherwise():
    start = [said("system", "s"), said("user", "q")]
    key = chat(*start).key("u")
    assert key == chat(*start, said("assistant", "a"), said("user", "q2")).key("u")
    assert len({key, chat(*start).key("v"), chat(said("system", "s"), said("user", "other")).key("u"), chat(start[1]).key("u")}) == 4
    assert len(key) == 16 and "q" not in key


def test_a_greeting_before_the_first_question_does_not_make_all_conversations_one():
    assert chat(said("assistant", "Hi!"), said("user", "q")).key("") != chat(said("assistant", "Hi!"), said("user", "r")).key("")


def test_the_key_does_not_read_more_than_the_start_of_a_message():
    assert chat(said("user", "x" * 600 + "a")).key("") == chat(said("user", "x" * 600 + "b")).key("")


def test_a_message_that_is_no_object_is_refused_with_its_place():
    with pytest.raises(GatewayError, match=r"messages\[1\]"):
        chat(said("user", "x"), 3)


@pytest.mark.parametrize(
    ("value", "count", "string_bytes", "ids", "text"),
    [
        ("hello", 1, 5, 0, "hello"),
        (["one", "three"], 2, 8, 0, "one"),
        ([1, 2, 3], 1, 0, 3, ""),
        ([[1, 2], [3]], 2, 0, 3, ""),
        ([], 1, 0, 0, ""),
        (None, 1, 0, 0, ""),
        ({"a": 1}, 1, 0, 0, ""),
        ([{"a": 1}], 1, 0, 0, ""),
    ],
)
def test_prompts_of_every_shape_are_measured(value: object, count: int, string_bytes: int, ids: int, text: str):
    prompts = read_prompts(Raw(json.dumps(value).encode()))
    assert (prompts.count, prompts.string_bytes, prompts.token_ids, prompts.text) == (count, string_bytes, ids, text)


def test_the_key_of_a_plain_completion_is_of_its_first_bytes():
    one, grown = (read_prompts(Raw(json.dumps("x" * 600 + end).encode())) for end in ("", "and more"))
    assert one.key("u") == grown.key("u") != one.key("v")
    assert len(one.key("a user name that is longer than the sixty-four bytes a keyed digest takes, really")) == 16
