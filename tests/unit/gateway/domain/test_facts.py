"""One request in the core's words."""

from gateway.domain.catalog import Model, Tariff, TrafficClass
from gateway.domain.facts import Endpoint, RequestFacts


def test_the_calls_that_are_placed_on_models() -> None:
    assert {e.value for e in Endpoint} == {"chat", "completions", "embeddings"}


def test_a_request_has_no_rights_and_no_wishes_unless_given() -> None:
    model, klass = Model("m", Tariff(1, 1), 1000, ()), TrafficClass("standard", 3.0, 30.0, 1)
    facts = RequestFacts("r", Endpoint.CHAT, "t", klass, "auto", (model,), 10, None, True, 0.0, (0.5, 0.5))
    assert facts.client_threshold is None and not facts.may_set_threshold and facts.named is None
    assert facts.prompt_bytes == 0 and facts.expected_usd is None
