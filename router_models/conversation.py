"""What surrounds the question that is scored: turns, context, system prompt, tools, requested tokens; as numbers beside the text.

A prompt is the newest question of a chat. A lone question without tools and without a limit (`ALONE`) has zeros for facts: a router that
was trained on lone questions has no weights for them and answers every conversation by its newest question alone, and a router that was
trained on conversations answers a lone question by its text. `read_chat` takes prompt and facts from the body of an OpenAI chat call;
whoever serves a router must count as it does (the gateway does, and a test holds both against each other).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

FACTS = ("log_turns", "log_context_characters", "context_share", "log_system_characters", "has_tools", "log_tokens_max")
"""Names of the numbers, in the order of `facts`."""

_SYSTEM = frozenset({"system", "developer"})
_QUESTION = "user"


class Conversation(Protocol):
    """What a router may know besides the question's text."""

    @property
    def turns(self) -> int:
        """Messages of the user, the question among them."""
        ...

    @property
    def context_characters(self) -> int:
        """Characters of all other text but system prompts: earlier questions, answers, results of tools."""
        ...

    @property
    def system_characters(self) -> int:
        """Characters of system and developer prompts."""
        ...

    @property
    def has_tools(self) -> bool:
        """Whether tools or functions are offered to the model."""
        ...

    @property
    def tokens_max(self) -> int | None:
        """The client's limit on the answer's tokens; None without one."""
        ...


@dataclass(frozen=True, slots=True)
class Chat:
    """A conversation's facts as training data has them; the fields are those of `Conversation`."""

    turns: int = 1
    context_characters: int = 0
    system_characters: int = 0
    has_tools: bool = False
    tokens_max: int | None = None


ALONE = Chat()
"""A question with nothing around it."""


def facts(conversation: Conversation, prompt: str) -> tuple[float, ...]:
    """Return the numbers named in FACTS; all zero for ALONE.

    Args:
        prompt: the question's text, which the context is held against.
    """
    context, limit = conversation.context_characters, conversation.tokens_max
    return (
        math.log(max(conversation.turns, 1)),
        math.log1p(context),
        context / (context + len(prompt)) if context else 0.0,
        math.log1p(conversation.system_characters),
        float(conversation.has_tools),
        0.0 if limit is None else math.log1p(limit),
    )


def read_chat(body: Mapping[str, Any]) -> tuple[str, Chat]:
    """Return the question and its facts from the body of a chat call: `messages`, and `tools`, `functions`, limits where there are any.

    The question is the text of the last user message that has text, its text parts joined by line ends; when no user has text, the last
    text of anybody; else "". Images, sound and calls of tools have no characters here.

    Raises: ValueError when `messages` is no list of objects.
    """
    messages = body["messages"]
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not all(isinstance(m, Mapping) for m in messages):
        raise ValueError("messages is not a list of objects")
    said = [(str(message.get("role") or ""), _text(message.get("content"))) for message in messages]
    asked = [at for at, (role, text) in enumerate(said) if role == _QUESTION and text] or [at for at, (_, text) in enumerate(said) if text]
    others = said[: asked[-1]] + said[asked[-1] + 1 :] if asked else said
    limits = [body[key] for key in ("max_completion_tokens", "max_tokens") if body.get(key) is not None]
    return said[asked[-1]][1] if asked else "", Chat(
        turns=sum(role == _QUESTION for role, _ in said),
        context_characters=sum(len(text) for role, text in others if role not in _SYSTEM),
        system_characters=sum(len(text) for role, text in others if role in _SYSTEM),
        has_tools=bool(body.get("tools") or body.get("functions")),
        tokens_max=int(limits[0]) if limits else None,
    )


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    if not isinstance(content, Sequence):
        return ""
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str)) if len(parts) == len(content) else ""
