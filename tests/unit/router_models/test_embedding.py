import numpy as np
import pytest

from router_models.embedding import LatentEmbedding, fit_latent
from router_models.features import FeatureSpec

SPEC = FeatureSpec(orders=(4,), buckets_log2=10)
PROMPTS = [f"{topic} question number {i}" for i in range(30) for topic in ("botany of ferns", "civil procedure law", "linear algebra")]


def test_prompts_of_one_topic_lie_closer_than_prompts_of_two():
    embedding = fit_latent(PROMPTS, 8, SPEC)
    fern, other_fern, law = embedding.embed_all(["botany of ferns question 77", "botany of ferns again", "civil procedure law question 77"])
    assert fern @ other_fern > fern @ law + 0.3


def test_vectors_have_length_one_and_unknown_text_is_still_defined():
    embedding = fit_latent(PROMPTS, 8, SPEC)
    for prompt in ("botany", "", "\ud800", "x" * 10_000):
        length = float(np.linalg.norm(embedding.embed(prompt)))
        assert length == pytest.approx(1.0) or length == 0.0


def test_one_and_many_agree_and_storing_changes_nothing():
    embedding = fit_latent(PROMPTS, 8, SPEC)
    again = LatentEmbedding.restore(embedding.options(), embedding.arrays())
    assert np.array_equal(again.embed_all(PROMPTS[:5]), [embedding.embed(p) for p in PROMPTS[:5]])


def test_a_table_for_other_buckets_is_refused():
    with pytest.raises(ValueError, match="buckets"):
        LatentEmbedding(SPEC, np.zeros((3, 8), dtype=np.float32))
