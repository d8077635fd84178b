"""What the operator offers."""

import json
import logging

import pytest

from gateway.domain.catalog import Backend, Right, Secret, Tariff, Tenant


def test_a_call_costs_its_tokens() -> None:
    assert Tariff(2.5, 10.0).usd(1_000_000, 100_000) == pytest.approx(3.5)
    assert Tariff(2.5, 10.0).usd(0, 0) == 0.0


def test_cached_tokens_are_part_of_the_prompt_at_their_own_price() -> None:
    assert Tariff(2.5, 10.0, 0.25).usd(1_000_000, 0, 400_000) == pytest.approx(0.6 * 2.5 + 0.4 * 0.25)


def test_without_a_cached_price_cached_tokens_cost_as_much_as_fresh_ones() -> None:
    assert Tariff(2.5, 10.0).usd(1_000_000, 0, 400_000) == Tariff(2.5, 10.0).usd(1_000_000, 0)
    assert Tariff(2.5, 10.0, 0.0).usd(1_000_000, 0, 1_000_000) == 0.0


def test_a_secret_does_not_show_itself() -> None:
    secret = Secret("hunter2")
    assert repr(secret) == "Secret(***)" and "hunter2" not in f"{[secret]} {secret!r}"
    assert secret.reveal() == "hunter2" and secret == "hunter2"


def test_a_backend_does_not_show_its_key(caplog: pytest.LogCaptureFixture) -> None:
    backend = Backend("strong@a", "https://a/v1", "big", api_key=Secret("hunter2"))
    with caplog.at_level(logging.INFO):
        logging.info("sending to %s", backend)
    assert "hunter2" not in caplog.text and "hunter2" not in repr(backend)


def test_a_tenant_may_nothing_unless_written() -> None:
    assert Tenant("acme", (), "standard").may == frozenset()
    assert {r.value for r in Right} == {"threshold", "choose_model", "raise_class", "debug"}
    assert json.dumps([r.value for r in Right])
