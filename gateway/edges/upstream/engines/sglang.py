"""SGLang; it publishes metrics only with `--enable-metrics`."""

from gateway.edges.upstream.engines.base import Engine

SGLANG = Engine(
    "sglang",
    is_self_hosted=True,
    health_path="/health",
    metrics_path="/metrics",
    waiting=("sglang:num_queue_reqs",),
    running=("sglang:num_running_reqs",),
    kv_usage=("sglang:token_usage",),
)
