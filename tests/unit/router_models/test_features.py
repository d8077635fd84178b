import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_models.features import SURFACE, FeatureSpec, Featurizer, byte_counts, byte_counts_of_long


def plain_buckets(text: bytes, spec: FeatureSpec) -> list[list[int]]:
    """The same hash written with Python integers, one n-gram at a time."""
    from router_models.features import _MULTIPLIERS

    padded = b"\n" + text.lower() + b"\0" * 8
    rows = []
    for n in spec.orders:
        row = []
        for start in range(len(text) + 1):
            # n bytes in the high end of a 64-bit word, as the shifted view has them
            word = int.from_bytes(padded[start : start + n], "little") << (64 - 8 * n)
            row.append((word * _MULTIPLIERS[n - 1] & (2**64 - 1)) >> (64 - spec.buckets_log2))
        rows.append(row)
    return rows


@pytest.mark.parametrize("text", ["", "a", "What is 2 + 2?", "Ünïcödé 日本語", "\0\0", "Mixed CASE"])
def test_buckets_equal_the_same_hash_in_plain_python(text: str):
    spec = FeatureSpec(orders=(1, 3, 5, 8), buckets_log2=12)
    features = Featurizer(spec)
    window = features.window(text)
    assert features.buckets(window).tolist() == plain_buckets(window, spec)


def test_upper_and_lower_case_hash_alike_but_surface_counts_tell_them_apart():
    features = Featurizer(FeatureSpec())
    low, high = features.window("hello there"), features.window("HELLO THERE")
    assert np.array_equal(features.buckets(low), features.buckets(high))
    assert features.surface("hello there", low) != features.surface("HELLO THERE", high)


def test_a_long_prompt_is_seen_through_its_head_and_tail_only():
    features = Featurizer(FeatureSpec(head_bytes=32, tail_bytes=16))
    middle = "m" * 1000
    window = features.window("h" * 40 + middle + "t" * 40)
    assert window == b"h" * 32 + b"t" * 16
    assert len(features.window("é" * 40)) == 48


def test_the_window_of_ten_megabytes_is_as_small_as_any_other():
    features = Featurizer(FeatureSpec())
    huge = "x" * 10_000_000
    window = features.window(huge)
    assert len(window) == 4096
    assert features.surface(huge, window)[0] == math.log1p(10_000_000)


@pytest.mark.parametrize("text", ["", "\0", "\ud800", "\udfff" * 5000, "🜁" * 5000])
def test_odd_texts_have_defined_finite_features(text: str):
    features = Featurizer(FeatureSpec())
    window = features.window(text)
    surface = features.surface(text, window)
    assert len(surface) == len(SURFACE) and all(math.isfinite(v) for v in surface)
    assert features.buckets(window).shape == (2, len(window) + 1)


def test_surface_counts_what_its_names_say():
    features = Featurizer(FeatureSpec())
    text = 'Is 12 = 3 * 4? "Yes", A_B: ok.\nN'
    counts = dict(zip(SURFACE, features.surface(text, features.window(text))))
    for name, expected in {
        "log_digits": 4,
        "log_upper": 5,
        "log_questions": 1,
        "log_lines": 1,
        "log_full_stops": 1,
        "log_commas": 1,
        "log_blanks": 1,
        "log_math": 2,
        "log_quotes": 2,
        "log_colons": 1,
    }.items():
        assert counts[name] == pytest.approx(math.log1p(expected)), name
    assert counts["digit_share"] == pytest.approx(4 / (len(text) + 1))
    assert counts["other_script_share"] == 0.0


def test_the_digest_changes_with_every_part_of_the_spec():
    specs = [
        FeatureSpec(),
        FeatureSpec(orders=(4,)),
        FeatureSpec(buckets_log2=16),
        FeatureSpec(head_bytes=100),
        FeatureSpec(tail_bytes=100),
    ]
    assert len({spec.digest() for spec in specs}) == len(specs)


@pytest.mark.parametrize("options", [{"orders": ()}, {"orders": (9,)}, {"orders": (0,)}, {"buckets_log2": 30}, {"head_bytes": 0}])
def test_an_impossible_spec_is_refused(options: dict[str, object]):
    with pytest.raises(ValueError):
        FeatureSpec(**options)  # type: ignore[arg-type]


@given(st.binary(max_size=3000))
def test_bytes_are_counted_alike_on_short_and_long_windows(window: bytes):
    assert byte_counts(window) == byte_counts_of_long(window)


@given(st.lists(st.text(st.sampled_from("ab Z09\n?.,_\":'=(é漢\udc80"), max_size=60), min_size=1, max_size=6))
def test_several_prompts_at_once_have_the_features_of_each(prompts: list[str]):
    featurizer = Featurizer(FeatureSpec((3, 5), 10))
    windows = [featurizer.window(prompt) for prompt in [*prompts, "def f():\n return import print("]]
    texts = [*prompts, "def f():\n return import print("]
    expected = np.array([featurizer.surface(prompt, window) for prompt, window in zip(texts, windows, strict=True)])
    assert np.abs(featurizer.surface_of_many(texts, windows) - expected).max() <= 1e-12
    numbers, cuts = featurizer.buckets_of_many(windows)
    for window, start, end in zip(windows, cuts[::2], cuts[1::2], strict=True):
        assert numbers[:, start:end].tolist() == featurizer.buckets(window).tolist()
