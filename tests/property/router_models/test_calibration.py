"""Whatever outcomes a calibration is fitted on, its knots are usable: increasing, spanning, consistent."""

from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from router_models.calibration import Interpolation, ManyCalibration, PairCalibration, PairQualities, calibrate

UNIT = st.floats(0.0, 1.0)


@settings(deadline=None)
@given(st.integers(1, 300), st.data())
def test_knots_of_any_two_models_increase_and_qualities_stay_in_range(n: int, data: st.DataObject):
    raw = data.draw(arrays.arrays(np.float64, (n, 2), elements=UNIT))
    scores = data.draw(arrays.arrays(np.float64, (n, 2), elements=st.sampled_from([0.0, 0.5, 1.0])))
    made = calibrate(raw, scores)
    assert isinstance(made, PairCalibration)
    assert PairCalibration.from_json(made.to_json()) == made
    assert made.win_rate[0] == 0.0 and made.win_rate[-1] == 1.0 and made.gain[-1] == 1.0 and made.gain[0] >= -1.0
    to_gain = Interpolation(made.win_rate, made.gain)
    qualities = PairQualities(made)
    for strong, weak in [(0.0, 1.0), (1.0, 0.0), (0.5, 0.5), *map(tuple, raw[:5].tolist())]:
        q_strong, q_weak = qualities(strong - weak, 0.5 * (strong + weak))
        assert 0.0 <= q_strong <= 1.0 and 0.0 <= q_weak <= 1.0
    assert all(to_gain(b) > to_gain(a) for a, b in pairwise(np.linspace(0.0, 1.0, 50).tolist()))


@settings(deadline=None)
@given(st.integers(1, 200), st.integers(3, 5), st.data())
def test_knots_of_many_models_increase_one_by_one(n: int, m: int, data: st.DataObject):
    raw = data.draw(arrays.arrays(np.float64, (n, m), elements=UNIT))
    scores = data.draw(arrays.arrays(np.float64, (n, m), elements=UNIT))
    made = calibrate(raw, scores)
    assert isinstance(made, ManyCalibration) and ManyCalibration.from_json(made.to_json()) == made
    assert all(x[0] == y[0] == 0.0 and x[-1] == y[-1] == 1.0 for x, y in zip(made.raw, made.quality))
