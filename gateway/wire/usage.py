"""The tokens that a backend reports, in the spellings that are about."""

import re

import msgspec

from gateway.domain.value import Value

_KEY = b'"usage"'
_OBJECT = re.compile(rb"[ \t\n\r]*:[ \t\n\r]*\{")
_Count = int | float | None


class Usage(Value, frozen=True):
    """Tokens of one call as the backend counted them; None is what it did not tell."""

    prompt_tokens: int | None
    completion_tokens: int | None
    cached_tokens: int | None = None
    """Part of the prompt that was found in a cache and costs less."""
    reasoning_tokens: int | None = None
    """Part of the completion that nobody sees and everybody pays."""


class _PromptDetails(msgspec.Struct, gc=False):
    cached_tokens: _Count = None


class _CompletionDetails(msgspec.Struct, gc=False):
    reasoning_tokens: _Count = None


class UsageTold(msgspec.Struct, gc=False):
    """The member `usage` as it was sent."""

    prompt_tokens: _Count = None
    completion_tokens: _Count = None
    total_tokens: _Count = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_cache_hit_tokens: _Count = None
    """DeepSeek's spelling of cached tokens."""


class _Holder(msgspec.Struct, gc=False):
    usage: UsageTold | None = None


_decode = msgspec.json.Decoder(_Holder).decode


def usage_of(data: bytes) -> Usage | None:
    """Return the usage of a chunk or of a whole answer; None when there is none, or none that can be read.

    Embeddings report no completion tokens: then 0 when a total is told. Negative counts are not believed. OpenAI counts reasoning
    inside of the completion; a few servers count it beside, which their total gives away, and is added there once.
    """
    if not mentions_usage(data):
        return None
    try:
        told = _decode(data).usage
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return None if told is None else usage_from(told)


def usage_from(told: UsageTold) -> Usage | None:
    """Return what a usage member tells; None when it tells nothing."""
    cached = told.prompt_tokens_details.cached_tokens if told.prompt_tokens_details else None
    usage = Usage(
        prompt_tokens=_count(told.prompt_tokens),
        completion_tokens=_count(0 if told.completion_tokens is None and told.total_tokens is not None else told.completion_tokens),
        cached_tokens=_count(told.prompt_cache_hit_tokens if cached is None else cached),
        reasoning_tokens=_count(told.completion_tokens_details.reasoning_tokens if told.completion_tokens_details else None),
    )
    prompt, completion, reasoning = usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens
    if prompt is None and completion is None:
        return None
    if reasoning and prompt is not None and completion is not None and _count(told.total_tokens) == prompt + completion + reasoning:
        return Usage(prompt, completion + reasoning, usage.cached_tokens, reasoning)
    return usage


def mentions_usage(data: bytes) -> bool:
    """Say by a byte search whether a `usage` object may be in there; `"usage": null` is none."""
    at = data.rfind(_KEY)
    return at >= 0 and (_OBJECT.match(data, at + len(_KEY)) is not None or data.find(_KEY) != at)


def _count(told: int | float | None) -> int | None:
    return None if told is None or told < 0 else int(told)
