"""Traffic for tests of whole governors: 500 requests that the strong model helps by 0 to 0.4, at ten times the price."""

import numpy as np

from gateway.core.pricing.card import Card

RNG = np.random.Generator(np.random.PCG64(3))
WEAK = RNG.uniform(0.3, 0.8, 500)
CARD = Card(
    ("strong", "weak"),
    RNG.choice([10.0, 3.0, 1.0], 500),
    np.stack([WEAK + RNG.uniform(0.0, 0.4, 500), WEAK], axis=1),
    np.tile([0.010, 0.001], (500, 1)),
)
FAIR = 0.00415
"""Dollars per request that afford 35 % strong."""
