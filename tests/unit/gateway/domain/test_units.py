"""Units travel with the type."""

from dataclasses import dataclass
from typing import get_type_hints

from gateway.domain.units import ByteCount, Count, Ratio, Seconds, Unit, Usd


@dataclass
class Options:
    """One of each."""

    wait: Seconds
    share: Ratio
    budget: Usd
    size: ByteCount
    many: Count


def test_the_config_edge_can_read_each_fields_unit() -> None:
    hints = get_type_hints(Options, include_extras=True)
    units = {name: (hint.__origin__, hint.__metadata__[0]) for name, hint in hints.items()}
    assert units == {
        "wait": (float, Unit("duration")), "share": (float, Unit("ratio")), "budget": (float, Unit("usd")),
        "size": (int, Unit("bytes")), "many": (int, Unit("count")),
    }  # fmt: skip


def test_without_extras_they_are_plain_numbers() -> None:
    assert get_type_hints(Options) == {"wait": float, "share": float, "budget": float, "size": int, "many": int}
