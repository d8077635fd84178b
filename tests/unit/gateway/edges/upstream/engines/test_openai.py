"""Hosted APIs."""

from gateway.edges.upstream.engines.openai import OPENAI


def test_a_hosted_api_is_never_asked_for_health_or_load_and_takes_include_usage():
    assert (OPENAI.health_path, OPENAI.metrics_path, OPENAI.is_self_hosted, OPENAI.takes_include_usage) == (None, None, False, True)
    assert not OPENAI.load_of("vllm:num_requests_running 1\n").has_data
