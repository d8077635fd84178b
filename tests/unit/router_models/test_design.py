import numpy as np
import pytest

from router_models.design import design, idf
from router_models.features import SURFACE, FeatureSpec, Featurizer

SPEC = FeatureSpec(orders=(4,), buckets_log2=8)


def test_a_row_holds_the_counts_of_the_featurizer_over_the_root_of_the_window():
    prompts = ["abcabcabc", "", "other"]
    grams, surface = design(SPEC, prompts)
    features = Featurizer(SPEC)
    for row, prompt in enumerate(prompts):
        window = features.window(prompt)
        expected = np.bincount(features.buckets(window).ravel(), minlength=SPEC.buckets) / np.sqrt(len(window) + 1)
        assert grams[row].toarray()[0] == pytest.approx(expected)
        assert tuple(surface[row]) == features.surface(prompt, window)
    assert surface.shape == (3, len(SURFACE))


def test_rare_ngrams_weigh_more_than_common_ones():
    grams, _ = design(SPEC, ["same same", "same same", "same same", "else"])
    weight = idf(grams)
    features = Featurizer(SPEC)
    common, rare = features.buckets(b"same")[0, 1], features.buckets(b"else")[0, 1]
    assert weight[rare] == pytest.approx(np.log(5 / 2)) and weight[common] == pytest.approx(np.log(5 / 4))
