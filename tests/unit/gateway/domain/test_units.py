from typing import get_args

from gateway.domain.units import ByteCount, Count, Ratio, Seconds, Unit, Usd


def test_the_marker_travels_with_the_type():
    marked = {get_args(t)[1].kind: get_args(t)[0] for t in (Seconds, Ratio, Usd, ByteCount, Count)}
    assert marked == {"duration": float, "ratio": float, "usd": float, "bytes": int, "count": int}
    assert all(isinstance(get_args(t)[1], Unit) for t in (Seconds, Ratio))
