import json
from typing import Any

import pytest

from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.wire.request import CONTROLLED, LEVELS_MAX, Decoded, decode, splice

MESSAGES = b'"messages":[{"role":"user","content":"hi"}]'


def chat(**fields: Any) -> Decoded:
    return decode(Endpoint.CHAT, json.dumps({"model": "auto", "messages": [{"role": "user", "content": "hi"}], **fields}).encode())


def test_what_routing_needs_is_read():
    decoded = chat(
        stream=True,
        stream_options={"include_usage": True},
        max_tokens=7,
        max_completion_tokens=9,
        n=2,
        user="ann",
        tools=[{"type": "function"}],
        response_format={"type": "json_object"},
    )
    assert (decoded.model, decoded.is_streaming, decoded.wants_usage, decoded.tokens_max) == ("auto", True, True, 9)
    assert (decoded.n, decoded.user, decoded.has_tools, decoded.has_response_format) == (2, "ann", True, True)
    assert (decoded.prompt_text, decoded.turns, decoded.token_ids) == ("hi", 1, 0)
    assert decoded.text_bytes == 2 + len('[{"type": "function"}]') + len("null") + len('{"type": "json_object"}')


def test_nulls_and_absent_members_mean_the_same():
    names = ("stream", "stream_options", "max_tokens", "max_completion_tokens", "n", "user", "tools", "response_format")
    for decoded in (chat(), chat(**dict.fromkeys(names))):
        assert (decoded.is_streaming, decoded.wants_usage, decoded.tokens_max, decoded.n) == (False, False, None, 1)
        assert (decoded.user, decoded.has_tools, decoded.has_response_format, decoded.text_bytes) == (None, False, False, 2)


def test_unusual_number_forms_are_read_by_their_value():
    decoded = decode(Endpoint.CHAT, b'{"model":"a","max_tokens":1.6e1,"n":2.0,' + MESSAGES + b"}")
    assert (decoded.tokens_max, decoded.n) == (16, 2)


@pytest.mark.parametrize(("param", "number"), [("n", 0), ("n", -1), ("n", 1.5), ("max_tokens", -1), ("max_completion_tokens", 0.5)])
def test_counts_that_are_none_are_refused_by_name(param: str, number: float):
    with pytest.raises(GatewayError) as caught:
        chat(**{param: number})
    assert (caught.value.reason, caught.value.param) == (Reason.BAD_REQUEST, param)


def test_a_huge_number_is_not_a_crash():
    assert decode(Endpoint.CHAT, b'{"model":"a","max_tokens":' + b"9" * 30 + b"," + MESSAGES + b"}").tokens_max == int("9" * 30)
    with pytest.raises(GatewayError):
        decode(Endpoint.CHAT, b'{"model":"a","max_tokens":' + b"9" * 5000 + b"," + MESSAGES + b"}")
    with pytest.raises(GatewayError):
        decode(Endpoint.CHAT, b'{"model":"a","max_tokens":1e999,' + MESSAGES + b"}")


def test_completions_multiply_prompts_and_answers():
    decoded = decode(Endpoint.COMPLETIONS, b'{"model":"a","prompt":["x","yy"],"n":3,"max_tokens":0}')
    assert (decoded.n, decoded.prompt_text, decoded.text_bytes, decoded.turns, decoded.tokens_max) == (6, "x", 3, 1, 0)


def test_a_completion_without_prompt_is_for_the_backend_to_judge():
    decoded = decode(Endpoint.COMPLETIONS, b'{"user":null,"model":"a"}')
    assert (decoded.prompt_text, splice(decoded, "b", False)) == ("", b'{"user":null,"model":"b"}')


def test_embeddings_of_token_ids_are_counted_exactly():
    decoded = decode(Endpoint.EMBEDDINGS, b'{"input":[[1,2],[3,4,5]],"model":"a"}')
    assert (decoded.token_ids, decoded.text_bytes) == (5, 0)


def test_a_conversation_has_one_key_from_turn_to_turn():
    messages = [{"role": "user", "content": "hi"}]
    grown = [*messages, {"role": "assistant", "content": "hello"}, {"role": "user", "content": "more"}]
    assert chat(messages=messages).conversation_key == chat(messages=grown).conversation_key
    assert chat(user="ann").conversation_key != chat(user="bob").conversation_key


def test_no_prompt_shows_in_the_repr():
    assert "hi" not in repr(chat())


@pytest.mark.parametrize("key", sorted(CONTROLLED - {"messages"}))
def test_a_repeated_controlled_key_is_ambiguous(key: str):
    values = {
        "model": '"a"',
        "stream": "true",
        "stream_options": "{}",
        "user": '"u"',
        "max_tokens": "1",
        "max_completion_tokens": "1",
        "n": "1",
    }
    told = values.get(key, "[]")
    body = f'{{"{key}":{told},"model":"a",{MESSAGES.decode()},"{key}":{told}}}'.encode()
    with pytest.raises(GatewayError) as caught:
        decode(Endpoint.CHAT, body)
    assert (caught.value.reason, caught.value.param) == (Reason.AMBIGUOUS_REQUEST, key)


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"a",' + MESSAGES + b',"mod\\u0065l":"b"}',
        b'{"\\u006dodel":"a",' + MESSAGES + b',"model":"b"}',
        b'{"model":"a","MODEL":"b",' + MESSAGES + b"}",
        b'{"Model":"b",' + MESSAGES + b',"model":"a"}',
        b"{" + MESSAGES + b',"model":"a",' + MESSAGES + b"}",
        b'{"messages" :[{}],"model":"a",' + MESSAGES + b"}",
        b'{"model":"a","model":"a",' + MESSAGES + b',"x":{"model":1}}',
        b'{"stream":false,"model":"a","str\\u0065am":true,' + MESSAGES + b"}",
    ],
)
def test_repetitions_in_disguise_are_ambiguous(body: bytes):
    with pytest.raises(GatewayError) as caught:
        decode(Endpoint.CHAT, body)
    assert caught.value.reason is Reason.AMBIGUOUS_REQUEST


def test_repeated_unknown_keys_pass_as_sent():
    body = b'{"x":1,"x":2,"model":"a",' + MESSAGES + b',"x":3}'
    assert splice(decode(Endpoint.CHAT, body), "b", False) == body.replace(b'"a"', b'"b"')


@pytest.mark.parametrize(
    "template",
    [
        b'{"model":%s,' + MESSAGES + b"}",
        b"{" + MESSAGES + b',"model" : %s }',
        b'{\n\t"messages" :  [ {"role":"user","content":"say \\"model\\":\\"x\\" now"} ],\r\n  "model"\n:\n%s\n}\n',
        b'{"metadata":{"model":"inner"},"model":%s,' + MESSAGES + b',"tail":{"model":{"model":1}}}',
        b'{"x":"\\"model","say \\"model":"a","model":%s,' + MESSAGES + b"}",
        b'{"mod\\u0065l":%s,' + MESSAGES + b"}",
        b'{"a":"\\u0065","model":%s,' + MESSAGES + b"}",
        b'{"messages":[{"role":"user","content":"hi","model":"inner"}],"model":%s}',
        b'{"n":1.0e0,"max_tokens":16.000,"seed":123456789012345678901234567890,"model":%s,' + MESSAGES + b',"temperature":1E-1}',
        b'{"x":{"messages":[{"role":"user","content":"hi"}]},"model":%s,' + MESSAGES + b"}",
        b'{"type":"model","model":%s,' + MESSAGES + b"}",
        '{"ключ":"значение","model":%s,'.encode() + MESSAGES + b"} ",
    ],
)
@pytest.mark.parametrize("name", [b'"a"', b'"\\u0061\\"b\\\\"', b'""'])
def test_only_the_top_level_model_is_replaced(template: bytes, name: bytes):
    body = template.replace(b"%s", name)
    decoded = decode(Endpoint.CHAT, body)
    assert decoded.model == json.loads(name)
    assert splice(decoded, 'big "model"', False) == template.replace(b"%s", b'"big \\"model\\""')


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        (b"", b',"stream_options":{"include_usage":true}'),
        (b',"stream_options":null', b',"stream_options":{"include_usage":true}'),
        (b',"stream_options": { }', b',"stream_options": {"include_usage":true }'),
        (b',"stream_options":{"x":[1]}', b',"stream_options":{"include_usage":true,"x":[1]}'),
        (b',"stream_options":{"include_usage" : false,"x":1}', b',"stream_options":{"include_usage" : true,"x":1}'),
        (
            b',"stream_options":{"include_usage":true,"include_usage":null}',
            b',"stream_options":{"include_usage":true,"include_usage":true}',
        ),
        (b',"stream_options":{"include_usage":null}', b',"stream_options":{"include_usage":true}'),
    ],
)
def test_a_metered_stream_asks_for_usage_and_changes_nothing_else(options: bytes, asked: bytes):
    head = b'{"stream":true,' + MESSAGES + b',"model":"a"'
    decoded = decode(Endpoint.CHAT, head + options + b',"z":0}')
    assert not decoded.wants_usage
    assert splice(decoded, "a", True) == head + asked + b',"z":0}'
    assert splice(decoded, "a", False) == head + options + b',"z":0}'


def test_usage_is_not_asked_for_where_the_client_did_or_nothing_streams():
    for body in (
        b'{"stream":true,"stream_options":{"include_usage":true},"model":"a",' + MESSAGES + b"}",
        b'{"stream":false,"model":"a",' + MESSAGES + b"}",
    ):
        assert splice(decode(Endpoint.CHAT, body), "a", True) == body


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        (b'{"sluice":{"a":[1,"}"]},"model":"a",%s}', b'{"model":"b",%s}'),
        (b'{ "sluice" : 1 , "model":"a",%s}', b'{ "model":"b",%s}'),
        (b'{"model":"a" , "sluice":null,%s}', b'{"model":"b",%s}'),
        (b'{"model":"a",%s, "sluice":"x" }', b'{"model":"b",%s }'),
        (b'{"x":{"sluice":1},"model":"a",%s}', b'{"x":{"sluice":1},"model":"b",%s}'),
    ],
)
def test_our_own_hints_are_cut_out_with_one_comma(body: bytes, sent: bytes):
    decoded = decode(Endpoint.CHAT, body.replace(b"%s", MESSAGES))
    assert splice(decoded, "b", False) == sent.replace(b"%s", MESSAGES)


def test_hints_and_usage_are_spliced_together():
    body = b'{"model":"a","sluice":1,"stream":true,' + MESSAGES + b"}"
    sent = b'{"model":"b","stream_options":{"include_usage":true},"stream":true,' + MESSAGES + b"}"
    assert splice(decode(Endpoint.CHAT, body), "b", True) == sent


def test_a_name_outside_ascii_arrives_as_itself():
    assert json.loads(splice(chat(), "模型", False))["model"] == "模型"


@pytest.mark.parametrize(
    "where", [b'"x":%s,' + MESSAGES, b'"messages":[{"role":"user","content":%s}]', b'"messages":[{"role":"user","content":"x","y":%s}]']
)
def test_nesting_is_accepted_to_the_limit_and_refused_beyond(where: bytes):
    outside = 1 if where.startswith(b'"x"') else 3
    for levels, is_fine in ((LEVELS_MAX - outside, True), (LEVELS_MAX - outside + 1, False), (900, False), (1_000_000, False)):
        body = b'{"model":"a",' + where.replace(b"%s", b"[" * levels + b"]" * levels) + b"}"
        if is_fine:
            assert decode(Endpoint.CHAT, body).model == "a"
            continue
        with pytest.raises(GatewayError, match="levels deep"):
            decode(Endpoint.CHAT, body)


def test_every_text_outside_ascii_is_checked_even_where_nothing_reads_it():
    with pytest.raises(GatewayError, match="not UTF-8"):
        decode(Endpoint.CHAT, b'{"model":"a","x":"\xff",' + MESSAGES + b"}")


def test_an_empty_conversation_is_refused():
    with pytest.raises(GatewayError, match="at least one message"):
        chat(messages=[])
