import pytest

from gateway.domain.catalog import Backend, Secret, Tariff


def test_a_call_costs_its_fresh_cached_and_answered_tokens_at_their_own_prices():
    tariff = Tariff(2.5, 10.0, 0.25)
    assert tariff.usd(1_000_000, 0) == pytest.approx(2.5)
    assert tariff.usd(0, 1_000_000) == pytest.approx(10.0)
    assert tariff.usd(1_000_000, 100_000, cached_tokens=400_000) == pytest.approx(0.6 * 2.5 + 0.4 * 0.25 + 0.1 * 10.0)


def test_without_a_cached_price_cached_input_costs_as_much_as_fresh_input():
    assert Tariff(2.5, 10.0).usd(1000, 10, cached_tokens=900) == Tariff(2.5, 10.0).usd(1000, 10)


def test_a_secret_shows_itself_only_when_asked_to():
    secret = Secret("sk-very-secret")
    assert "very-secret" not in repr(secret)
    assert "very-secret" not in f"{[secret]!r}"
    assert secret.reveal() == "sk-very-secret"


def test_a_backend_does_not_show_its_key():
    backend = Backend("strong@h:80", "http://h:80/v1", "m", api_key=Secret("sk-very-secret"))
    assert "very-secret" not in repr(backend)
