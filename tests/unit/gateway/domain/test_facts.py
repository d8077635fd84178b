from gateway.domain.catalog import TrafficClass
from gateway.domain.facts import Endpoint, RequestFacts


def test_a_request_may_do_nothing_special_unless_somebody_says_so():
    klass = TrafficClass("standard", 3.0, 30.0, 1)
    facts = RequestFacts("req_1", Endpoint.CHAT, "acme", klass, "auto", (), 10, None, True, 5.0, (0.1, 0.2))
    assert facts.client_threshold is None
    assert not facts.may_set_threshold
    assert facts.named is None and facts.expected_usd is None and facts.prompt_bytes == 0
