"""Arrivals: traces as recorded, Poisson at its rate, bursts only inside their window."""

import gzip
import os
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from load.arrivals import Arrival, ArrivalsError, bursts, lengths_like, poisson, read_trace, trace

TRACES = Path(os.environ.get("SLUICE_DATA", "nowhere")) / "traces"
needs_traces = pytest.mark.skipif(not TRACES.is_dir(), reason="SLUICE_DATA names no folder with traces")


def steady(count: int, every_s: float = 1.0) -> list[Arrival]:
    return [Arrival(i * every_s, 100 + i, 10 + i) for i in range(count)]


def test_csv_is_read_gzipped_or_not_and_failed_requests_are_left_out(tmp_path: Path) -> None:
    text = "arrival_s,input_tokens,output_tokens\n0.0,374,44\n4.5,396,0\n5.0,10,1\n"
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    assert list(read_trace(tmp_path / "t.csv")) == list(read_trace(tmp_path / "t.csv.gz")) == [Arrival(0.0, 374, 44), Arrival(5.0, 10, 1)]


def test_json_lines_bring_the_blocks_of_shared_prefixes(tmp_path: Path) -> None:
    (tmp_path / "t.jsonl").write_text('{"arrival_s":0.5,"input_tokens":900,"output_tokens":5,"hash_ids":[7,8]}\n')
    assert list(read_trace(tmp_path / "t.jsonl")) == [Arrival(0.5, 900, 5, (7, 8))]


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.csv", b"arrival_s,input_tokens\n0.0,1\n", "request 1"),
        ("b.csv", b"arrival_s,input_tokens,output_tokens\n5.0,1,1\n4.0,1,1\n", "request 2 comes before"),
        ("c.jsonl", b"{\n", "cannot be read"),
        ("d.jsonl", b"3\n", "request 1"),
        ("e.csv.gz", b"no gzip", "cannot be read"),
        ("f.csv.gz", gzip.compress(b"arrival_s,input_tokens,output_tokens\n" * 99)[:40], "cannot be read"),
    ],
)
def test_a_broken_trace_is_named_with_its_place(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArrivalsError, match=f"{name}.*{says}"):
        list(read_trace(tmp_path / name))


def test_a_missing_trace_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArrivalsError, match=r"gone\.csv"):
        list(read_trace(tmp_path / "gone.csv"))


@needs_traces
def test_the_recorded_hours_have_their_published_shape() -> None:
    azure = list(read_trace(TRACES / "azure_llm_2023_conv.csv.gz"))
    assert len(azure) == 19_366
    assert (round(np.mean([a.input_tokens for a in azure])), round(np.mean([a.output_tokens for a in azure]))) == (1155, 211)
    mooncake = list(read_trace(TRACES / "mooncake_fast25_conversation.jsonl.gz"))
    assert len(mooncake) == 12_031
    assert len({b for a in mooncake for b in a.blocks}) == 182_790


def test_poisson_has_its_rate_and_its_variance_and_is_the_same_for_the_same_seed() -> None:
    def made(seed: int) -> list[Arrival]:
        return list(poisson(5.0, 4000.0, np.random.default_rng(seed), input_tokens=1000, output_tokens=200))

    arrivals = made(1)
    assert len(arrivals) == pytest.approx(20_000, rel=0.03)
    per_second = np.bincount([int(a.at_s) for a in arrivals], minlength=4000)
    assert per_second.var() / per_second.mean() == pytest.approx(1.0, abs=0.1)
    assert np.mean([a.input_tokens for a in arrivals]) == pytest.approx(1000, rel=0.05)
    assert np.mean([a.output_tokens for a in arrivals]) == pytest.approx(200, rel=0.05)
    assert made(1) == arrivals != made(2)
    assert max(a.at_s for a in arrivals) < 4000


def test_lengths_are_drawn_in_pairs() -> None:
    trace = steady(50)
    draw, rng = lengths_like(trace), np.random.default_rng(0)
    drawn = {draw(rng) for _ in range(500)}
    assert drawn <= {(a.input_tokens, a.output_tokens) for a in trace}
    assert len(drawn) == 50
    with pytest.raises(ArrivalsError):
        lengths_like([])


def test_a_poisson_process_can_take_its_lengths_from_a_trace() -> None:
    made = poisson(5.0, 100.0, np.random.default_rng(1), lengths=lengths_like([Arrival(0.0, 7, 9)]))
    assert {(a.input_tokens, a.output_tokens) for a in made} == {(7, 9)}


def test_a_part_of_a_trace_counts_from_its_own_start_and_can_be_faster(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("arrival_s,input_tokens,output_tokens\n" + "".join(f"{i},{100 + i},1\n" for i in range(10)))
    assert [(a.at_s, a.input_tokens) for a in trace(path, 3.0, 6.0)] == [(0.0, 103), (1.0, 104), (2.0, 105)]
    assert [a.at_s for a in trace(path, 2.0, 5.0, times=4.0)] == [0.0, 0.25, 0.5]
    assert list(trace(path)) == list(read_trace(path))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 200), st.floats(0, 150), st.floats(0.5, 80), st.floats(0, 5), st.integers(0, 2**31))
def test_a_burst_multiplies_inside_its_window_and_touches_nothing_else(
    count: int, at_s: float, for_s: float, times: float, seed: int
) -> None:
    before = steady(count)
    after = list(bursts(before, at_s, for_s, times, np.random.default_rng(seed)))
    assert after == list(bursts(iter(before), at_s, for_s, times, np.random.default_rng(seed)))
    assert all(a.at_s <= b.at_s for a, b in pairwise(after))

    def inside(a: Arrival) -> bool:
        return at_s <= a.at_s < at_s + for_s

    assert [a for a in after if not inside(a)] == [a for a in before if not inside(a)]
    were, are = sum(map(inside, before)), [a for a in after if inside(a)]
    if times > 1:
        assert abs(len(are) - times * were) <= 1
        assert {a for a in before if inside(a)} <= set(are)
    else:
        assert set(are) <= {a for a in before if inside(a)}


def test_a_threefold_burst_keeps_the_shape_of_its_window() -> None:
    quiet_then_busy = [Arrival(i / 2, 1, 1) for i in range(200)] + [Arrival(100 + i / 20, 1, 1) for i in range(2000)]
    after = [a.at_s for a in bursts(quiet_then_busy, 50.0, 100.0, 3.0, np.random.default_rng(3))]
    assert sum(50 <= t < 100 for t in after) == pytest.approx(300, rel=0.25)
    assert sum(100 <= t < 150 for t in after) == pytest.approx(3000, rel=0.05)


def test_a_lull_thins_the_load() -> None:
    after = list(bursts(steady(4000, 0.1), 100.0, 200.0, 0.25, np.random.default_rng(1)))
    assert sum(100 <= a.at_s < 300 for a in after) == pytest.approx(500, rel=0.12)
