"""What the gateway counts of a request is what training counts of the same body: question, turns, context, system prompt, tools, limit."""

import json

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.facts import Endpoint
from gateway.wire.request import decode
from router_models.conversation import facts, read_chat

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PART = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.just({"type": "image_url", "image_url": {"url": "data:,"}}),
    st.just({"type": "text", "text": None}),
)
CONTENT = st.one_of(TEXT, st.lists(PART, max_size=3), st.none(), st.integers())
MESSAGE = st.fixed_dictionaries({"role": st.sampled_from(["system", "developer", "user", "assistant", "tool"]), "content": CONTENT})
BODY = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, min_size=1, max_size=6)},
    optional={
        "tools": st.sampled_from([None, [], [{"type": "function"}]]),
        "functions": st.sampled_from([None, [{"name": "f"}]]),
        "max_tokens": st.one_of(st.none(), st.integers(0, 9000)),
        "max_completion_tokens": st.one_of(st.none(), st.integers(0, 9000)),
    },
)


@given(body=BODY, is_ascii=st.booleans())
def test_gateway_and_training_read_the_same_question_and_the_same_facts(body: dict[str, object], is_ascii: bool):
    decoded = decode(Endpoint.CHAT, json.dumps({"model": "m", **body}, ensure_ascii=is_ascii).encode())
    prompt, chat = read_chat(body)
    assert decoded.prompt_text == prompt
    talk = decoded.talk
    assert (talk.turns, talk.context_characters, talk.system_characters) == (chat.turns, chat.context_characters, chat.system_characters)
    assert (talk.has_tools, talk.tokens_max) == (chat.has_tools, chat.tokens_max)
    assert facts(talk, prompt) == facts(chat, prompt)
