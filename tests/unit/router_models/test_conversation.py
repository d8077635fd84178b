from typing import Any

import pytest

from router_models.conversation import ALONE, FACTS, Chat, facts, read_chat


def said(role: str, content: object) -> dict[str, object]:
    return {"role": role, "content": content}


def test_a_lone_question_has_zeros_for_facts():
    assert read_chat({"messages": [said("user", "why?")]}) == ("why?", ALONE)
    assert facts(ALONE, "why?") == (0.0,) * len(FACTS)


def test_the_newest_question_is_the_prompt_and_all_other_text_surrounds_it():
    messages = [said("system", "be brief"), said("user", "first"), said("assistant", "answer"), said("user", "second"), said("tool", "42")]
    body = {"messages": messages, "tools": [{"type": "function"}], "max_tokens": 9, "max_completion_tokens": 7}
    assert read_chat(body) == ("second", Chat(2, len("firstanswer42"), len("be brief"), True, 7))


def test_each_fact_moves_with_what_it_counts():
    prompt = "x" * 30
    least = facts(ALONE, prompt)
    for change in (Chat(turns=3), Chat(context_characters=90), Chat(system_characters=5), Chat(has_tools=True), Chat(tokens_max=100)):
        assert any(a > b for a, b in zip(facts(change, prompt), least)) and all(a >= b for a, b in zip(facts(change, prompt), least))
    assert facts(Chat(context_characters=90), prompt)[FACTS.index("context_share")] == 0.75


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "image_url", "image_url": {}}, {"type": "text", "text": "b"}], "a\nb"),
        ([{"type": "image_url", "image_url": {}}], ""),
        ([], ""),
        (None, ""),
        (7, ""),
        (["x"], ""),
        ([{"text": 7}], ""),
    ],
)
def test_contents_of_every_shape_have_a_text(content: Any, text: str):
    assert read_chat({"messages": [said("user", content)]})[0] == text


def test_an_image_alone_gives_way_to_the_text_before_it_and_no_user_to_anybody():
    image = [{"type": "image_url", "image_url": {}}]
    assert read_chat({"messages": [said("user", "look"), said("user", image)]}) == ("look", Chat(turns=2))
    assert read_chat({"messages": [said("system", "one"), said("developer", "two")]}) == ("two", Chat(turns=0, system_characters=3))


@pytest.mark.parametrize("messages", ["text", 7, None, [1], [[]]])
def test_messages_of_another_form_are_refused(messages: Any):
    with pytest.raises(ValueError, match="not a list of objects"):
        read_chat({"messages": messages})
