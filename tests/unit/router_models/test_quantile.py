import numpy as np
import pytest

from router_models.quantile import StreamingQuantile, threshold_for_share


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_the_threshold_sends_the_share_asked_for(share: float):
    win_rate = np.random.default_rng(1).permutation(np.linspace(0.0, 1.0, 1000))
    assert float((win_rate >= threshold_for_share(win_rate, share)).mean()) == pytest.approx(share, abs=1e-9)


def test_no_prompts_or_an_impossible_share_are_refused():
    with pytest.raises(ValueError):
        threshold_for_share(np.array([]), 0.3)
    with pytest.raises(ValueError):
        StreamingQuantile(1.0)


def test_the_first_request_of_all_has_no_threshold_and_is_not_strong():
    stream = StreamingQuantile(0.3)
    assert stream.threshold() is None
    assert stream.is_strong(0.9) is False and stream.threshold() == 0.9


def test_it_forgets_old_traffic_within_one_window():
    stream = StreamingQuantile(0.3, window=100, start=[0.9] * 1000)
    for value in np.linspace(0.0, 0.2, 100).tolist():
        stream.observe(value)
    assert stream.threshold() == pytest.approx(0.14, abs=0.01)


def test_the_share_holds_after_traffic_changes():
    rng = np.random.default_rng(2)
    shares = []
    for seed in range(20):
        stream = StreamingQuantile(0.3, start=rng.uniform(0.0, 0.3, 400).tolist())
        drawn = np.random.default_rng(seed).beta(5, 2, 1500).tolist()
        shares.append(np.mean([stream.is_strong(v) for v in drawn][500:]))
    assert np.mean(shares) == pytest.approx(0.3, abs=0.01)
