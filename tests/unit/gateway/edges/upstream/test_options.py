"""Defaults of the upstream section that other parts rely on."""

from gateway.edges.upstream.options import UpstreamOptions


def test_the_clocks_are_ordered_and_retries_stay_within_a_tenth():
    options = UpstreamOptions()
    assert options.connect_timeout < options.ttft_timeout <= options.total_timeout and options.idle_timeout <= options.total_timeout
    assert 0 < options.retry_share <= 0.1 and options.attempts_max >= 2
