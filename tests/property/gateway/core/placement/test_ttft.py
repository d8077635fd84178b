"""The prediction is finite, not negative, and grows with the prompt, whatever was observed."""

from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.placement.ttft import Ttft


@given(st.lists(st.tuples(st.floats(0, 1e6), st.floats(0, 1000), st.floats(0, 600), st.floats(0, 300)), max_size=60))
def test_any_observations_leave_a_sane_prediction(seen: list[tuple[float, float, float, float]]) -> None:
    ttft, now_s = Ttft(), 0.0
    for tokens, requests, ttft_s, later_s in seen:
        now_s += later_s
        ttft.observe(tokens, requests, ttft_s, now_s)
        short_s, long_s = (ttft.predict(0, t, requests, now_s + 5.0) for t in (10, 10_000))
        assert isfinite(long_s) and 0.0 <= short_s < long_s
