"""Which candidates can hold the request at all: prompt and answer must fit the context, nothing is ever truncated."""

from collections.abc import Sequence

from gateway.domain.catalog import Model

ANSWER_LEAST = 16
"""Tokens of room for an answer whose length the client left open."""


def fits(models: Sequence[Model], prompt_tokens: int, tokens_max: int | None) -> tuple[Model, ...]:
    """Return the candidates whose context holds the prompt and the longest allowed answer, in the given order."""
    needed = prompt_tokens + (ANSWER_LEAST if tokens_max is None else tokens_max)
    for m in models:
        if m.context_tokens < needed:
            return tuple([m for m in models if m.context_tokens >= needed])
    return tuple(models)
