"""Verdicts are small and hold nothing but tenant and verdict."""

import json

import pytest

from gateway.edges.store import verdicts


def test_a_verdict_is_kept_with_its_tenant() -> None:
    assert json.loads(verdicts.written("acme", {"good": True})) == {"tenant": "acme", "verdict": {"good": True}}


def test_a_verdict_that_could_hold_a_prompt_is_refused() -> None:
    with pytest.raises(ValueError, match="2048 bytes"):
        verdicts.written("acme", {"comment": "x" * 5000})


def test_a_strangers_word_on_a_request_has_a_place_of_its_own() -> None:
    assert verdicts.named("req_1", "acme") != verdicts.named("req_1", "stranger")
