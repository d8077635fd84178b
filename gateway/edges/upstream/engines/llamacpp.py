"""llama.cpp's server; it publishes metrics only with `--metrics`, and newer versions no KV use."""

from gateway.edges.upstream.engines.base import Engine

LLAMACPP = Engine(
    "llamacpp",
    is_self_hosted=True,
    health_path="/health",
    metrics_path="/metrics",
    waiting=("llamacpp:requests_deferred",),
    running=("llamacpp:requests_processing",),
    kv_usage=("llamacpp:kv_cache_usage_ratio",),
)
