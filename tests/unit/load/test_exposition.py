"""Exposition: names of vLLM, one series per name, cumulative histograms that Prometheus accepts."""

import re
import shutil
import subprocess

import pytest

from load.engine import H100, Engine, Job
from load.exposition import Histogram, Meters


def rendered() -> str:
    engine, meters = Engine[Job](H100), Meters()
    done, running = Job(1000, 11, cached_tokens=200), Job(500, 400)
    engine.submit(done, 0.0)
    while not done.is_over:
        engine.advance(engine.next_event_s() or 0.0)
    meters.first_token(done)
    meters.finish(done, "tool_calls")
    engine.submit(running, 5.0)
    meters.prompt_tokens, meters.generation_tokens = 1000, 11
    return meters.render(engine, 'a"b')


def value(text: str, series: str) -> float:
    found = [line for line in text.splitlines() if line.startswith(series + "{")]
    assert len(found) == 1, series
    return float(found[0].rsplit(" ", 1)[1])


def test_a_scraper_of_vllm_finds_what_it_looks_for() -> None:
    text = rendered()
    assert value(text, "vllm:num_requests_running") == 1
    assert value(text, "vllm:num_requests_waiting") == 0
    assert value(text, "vllm:kv_cache_usage_perc") == pytest.approx(900 / 1_370_000)
    assert value(text, "vllm:prompt_tokens_total") == 1000
    assert value(text, "vllm:generation_tokens_total") == 11
    assert value(text, "vllm:prefix_cache_hits_total") == 200
    assert value(text, "vllm:time_to_first_token_seconds_sum") == pytest.approx(0.015 + 800 * 0.000085)
    assert value(text, "vllm:request_time_per_output_token_seconds_sum") == pytest.approx(0.02833)
    assert value(text, "vllm:e2e_request_latency_seconds_count") == 1
    assert 'vllm:request_success_total{engine="0",model_name="a\\"b",finished_reason="stop"} 1' in text


def test_every_family_has_one_heading_before_its_series() -> None:
    seen: set[str] = set()
    for line in rendered().splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in seen
            seen.add(name)
        elif not line.startswith("#"):
            name = re.match(r"[a-z0-9_:]+", line)[0]  # type: ignore[index]
            assert any(name == family or name.removesuffix(end) == family for family in seen for end in ("_bucket", "_sum", "_count"))


def test_buckets_are_cumulative_and_include_their_bound() -> None:
    histogram = Histogram("h", "Help.", (1.0, 2.0))
    for seen in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(seen)
    counts = [int(line.rsplit(" ", 1)[1]) for line in histogram.lines('a="b"') if "_bucket" in line]
    assert counts == [2, 3, 4]
    assert [*histogram.lines('a="b"')][-2:] == ['h_count{a="b"} 4', 'h_sum{a="b"} 12']


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_reads_it() -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=rendered(), text=True, capture_output=True, check=False)
    assert "error while linting" not in checked.stderr
    assert checked.returncode in (0, 3), checked.stderr  # 3: it would name them differently than vLLM does
