"""A clock whose time the test sets."""

import pytest


class SetClock:
    """`ports.Clock` that stands still until it is moved."""

    def __init__(self, wall_s: float = 1_800_000_000.0, speed: float = 1.0) -> None:
        self.at_s, self.speed = wall_s, speed

    def now_s(self) -> float:
        return self.at_s

    def wall_s(self) -> float:
        return self.at_s

    async def sleep(self, seconds: float) -> None:
        self.at_s += seconds

    def real_s(self, seconds: float) -> float:
        return seconds / self.speed


@pytest.fixture
def clock() -> SetClock:
    return SetClock()
