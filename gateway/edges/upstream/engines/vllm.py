"""vLLM, and what speaks its metrics.

The KV gauge was renamed in 0.9; a deprecated name is hidden one minor version later, so both are asked for.
Source: vllm `vllm/v1/metrics/loggers.py`.
"""

from gateway.edges.upstream.engines.base import Engine

VLLM = Engine(
    "vllm",
    is_self_hosted=True,
    health_path="/health",
    metrics_path="/metrics",
    waiting=("vllm:num_requests_waiting",),
    running=("vllm:num_requests_running",),
    kv_usage=("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"),
)
