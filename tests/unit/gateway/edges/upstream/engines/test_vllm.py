"""vLLM's metrics, before and after their renaming."""

from gateway.edges.upstream.engines.base import EngineLoad
from gateway.edges.upstream.engines.vllm import VLLM

PAGE = """# HELP vllm:num_requests_running Number of requests in model execution batches.
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{engine="0",model_name="m"} 5.0
vllm:num_requests_waiting{engine="0",model_name="m"} 12.0
vllm:num_requests_waiting_by_reason{engine="0",reason="capacity"} 12.0
vllm:%s{engine="0",model_name="m"} 0.31
vllm:time_to_first_token_seconds_bucket{le="0.001",model_name="m"} 0.0
"""


def test_both_names_of_the_kv_gauge_are_read():
    for name in ("kv_cache_usage_perc", "gpu_cache_usage_perc"):
        assert VLLM.load_of(PAGE % name) == EngineLoad(12.0, 5.0, 0.31)


def test_a_version_that_hides_the_gauge_has_no_kv_use_rather_than_none():
    assert VLLM.load_of(PAGE % "something_else").kv_usage is None
