"""Engines' metrics pages: what is read, and that a missing number is not a zero."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.upstream.engines.base import Engine, EngineLoad, samples

ENGINE = Engine("e", is_self_hosted=True, waiting=("e:waiting", "e:old_waiting"), running=("e:running",), kv_usage=("e:kv",))
WANTED = frozenset(("e:waiting", "e:old_waiting", "e:running", "e:kv"))


def test_queues_of_data_parallel_engines_add_up_and_the_fullest_cache_counts():
    text = 'e:waiting{engine="0"} 3\ne:waiting{engine="1"} 4.0\ne:running 2\ne:kv{engine="0"} 0.25\ne:kv{engine="1"} 0.75\n'
    assert ENGINE.load_of(text) == EngineLoad(7.0, 2.0, 0.75)


def test_a_missing_metric_is_none_and_not_zero():
    load = ENGINE.load_of("# HELP e:waiting x\n# TYPE e:waiting gauge\ne:running 0\n")
    assert load == EngineLoad(None, 0.0, None) and load.has_data
    assert not ENGINE.load_of("").has_data


def test_the_newest_spelling_goes_before_the_old_one():
    assert ENGINE.load_of("e:old_waiting 9\n").waiting == 9
    assert ENGINE.load_of("e:old_waiting 9\ne:waiting 1\n").waiting == 1


@pytest.mark.parametrize(
    ("line", "values"),
    [
        ('e:kv{model_name="a b} c",x="{"} 0.5', [0.5]),
        ("e:kv 0.5 1700000000000", [0.5]),
        ("e:kv NaN", []),
        ("e:kv +Inf", [float("inf")]),
        ("e:kv", []),
        ("e:kv zero", []),
        ("e:kvx 1", []),
        ("e:kv\t1e-1", [0.1]),
    ],
)
def test_samples_of_every_spelling(line, values):
    assert samples(line, WANTED).get("e:kv", []) == values


@given(st.text())
def test_no_text_breaks_the_reader(text):
    samples(text, WANTED)
    ENGINE.load_of("e:kv{" + text + "} 1")
