"""Metrics of a simulated backend in Prometheus text, under the names that vLLM gives them.

Durations are the engine's own seconds: with `--speed 6` a first token that took 0.1 s on the wall counts 0.6 s, as it does
for a gateway whose clock runs at the same speed. Names as in vLLM's V1 metrics logger (0.9 and later).
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator

from load.engine import BLOCK_TOKENS, Engine, J, Job

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TTFT_S = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0, 160.0)
_TOKEN_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0, 40.0, 80.0)
_LONG_S = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0)


class Histogram:
    """Counts by upper bound; a bound includes its own value."""

    def __init__(self, name: str, help_text: str, bounds: tuple[float, ...]) -> None:
        self.name, self._help, self._bounds = name, help_text, bounds
        self._counts, self._sum = [0] * (len(bounds) + 1), 0.0

    def observe(self, value: float) -> None:
        """Count one value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def lines(self, labels: str) -> Iterator[str]:
        """Exposition lines."""
        yield from _heading(self.name, self._help, "histogram")
        total = 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            total += count
            yield f'{self.name}_bucket{{{labels},le="{bound}"}} {total}'
        yield f"{self.name}_count{{{labels}}} {total}"
        yield f"{self.name}_sum{{{labels}}} {self._sum:.9g}"


class Meters:
    """What one backend has counted."""

    def __init__(self) -> None:
        self.prompt_tokens = self.generation_tokens = 0
        self.finished: Counter[str] = Counter()
        """Requests by finish reason; `abort` for those whose client left."""
        self.ttft = Histogram("vllm:time_to_first_token_seconds", "Time to first token in seconds.", _TTFT_S)
        self.per_token = Histogram("vllm:request_time_per_output_token_seconds", "Mean time per output token of a request.", _TOKEN_S)
        self.latency = Histogram("vllm:e2e_request_latency_seconds", "End to end request latency in seconds.", _LONG_S)
        self.queue = Histogram("vllm:request_queue_time_seconds", "Time spent in the WAITING phase.", _LONG_S)
        self.prefill = Histogram("vllm:request_prefill_time_seconds", "Time spent in the PREFILL phase.", _LONG_S)

    def first_token(self, job: Job) -> None:
        """Count a job whose prompt has been read."""
        if job.arrived_s is not None and job.admitted_s is not None and job.first_s is not None:
            self.ttft.observe(job.first_s - job.arrived_s)
            self.queue.observe(job.admitted_s - job.arrived_s)
            self.prefill.observe(job.first_s - job.admitted_s)

    def finish(self, job: Job, reason: str) -> None:
        """Count a job that is over; `abort` when its client left."""
        self.finished["stop" if reason == "tool_calls" else reason] += 1
        if job.arrived_s is not None and job.first_s is not None and job.done_s is not None:
            self.latency.observe(job.done_s - job.arrived_s)
            if job.output_tokens > 1:
                self.per_token.observe((job.done_s - job.first_s) / (job.output_tokens - 1))

    def render(self, engine: Engine[J], model: str) -> str:
        """Return the whole exposition."""
        labels = f'engine="0",model_name="{_escaped(model)}"'
        pages = engine.model.kv_tokens // BLOCK_TOKENS
        gauges = (
            ("vllm:num_requests_running", "Requests in model execution batches.", "gauge", engine.running),
            ("vllm:num_requests_waiting", "Requests waiting to be processed.", "gauge", engine.waiting),
            ("vllm:kv_cache_usage_perc", "KV-cache usage, 1 means 100 percent usage.", "gauge", engine.kv_usage),
            ("vllm:num_preemptions_total", "Cumulative number of preemptions.", "counter", 0),
            ("vllm:prefix_cache_queries_total", "Prefix cache queries, in tokens.", "counter", engine.seen_tokens),
            ("vllm:prefix_cache_hits_total", "Prefix cache hits, in tokens.", "counter", engine.hit_tokens),
            ("vllm:prompt_tokens_total", "Prefill tokens processed.", "counter", self.prompt_tokens),
            ("vllm:generation_tokens_total", "Generation tokens processed.", "counter", self.generation_tokens),
        )
        lines: list[str] = []
        for name, help_text, kind, value in gauges:
            lines += [*_heading(name, help_text, kind), f"{name}{{{labels}}} {value:.9g}"]
        lines += _heading("vllm:request_success_total", "Processed requests by finish reason.", "counter")
        for reason in ("stop", "length", "abort"):
            lines.append(f'vllm:request_success_total{{{labels},finished_reason="{reason}"}} {self.finished[reason]}')
        lines += _heading("vllm:cache_config_info", "Information of the cache.", "gauge")
        lines.append(f'vllm:cache_config_info{{{labels},block_size="{BLOCK_TOKENS}",num_gpu_blocks="{pages}"}} 1')
        for histogram in (self.ttft, self.per_token, self.latency, self.queue, self.prefill):
            lines += histogram.lines(labels)
        return "\n".join(lines) + "\n"


def _heading(name: str, help_text: str, kind: str) -> Iterator[str]:
    yield f"# HELP {name} {help_text}"
    yield f"# TYPE {name} {kind}"


def _escaped(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
