"""Tests of numbers with units."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.config.quantities import (
    QUANTITIES,
    read_bytes,
    read_count,
    read_duration,
    read_flag,
    read_integer,
    read_number,
    read_ratio,
    read_usd,
    write_bytes,
    write_duration,
)
from gateway.config.references import Expanded
from gateway.domain import units


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800ms", 0.8),
        ("2s", 2.0),
        ("10m", 600.0),
        ("1h", 3600.0),
        ("28d", 2_419_200.0),
        ("1w", 604_800.0),
        ("1.5s", 1.5),
        ("50us", 5e-5),
        ("2 s", 2.0),
    ],
)
def test_durations_carry_their_unit(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (read_duration, 5, "without unit; write 5s"),
        (read_duration, "0s", "longer than 0"),
        (read_duration, "5sec", "unknown unit 'sec'"),
        (read_duration, "5S", "unknown unit 'S'"),
        (read_duration, "-5s", "not a duration"),
        (read_duration, "5", "not a duration"),
        (read_duration, True, "not a duration"),
        (read_duration, [], "not a duration"),
        (read_bytes, "10 miles", "unknown unit 'miles'"),
        (read_bytes, 0, "at least 1"),
        (read_bytes, 1.5, "not a size"),
        (read_bytes, "0.3B", "whole number of bytes"),
        (read_ratio, "35%", "not in percent; write 0.35"),
        (read_ratio, 35, "outside 0..1; ratios are not in percent; write 0.35"),
        (read_ratio, -0.1, "outside 0..1"),
        (read_ratio, "0.3", "not a ratio"),
        (read_ratio, True, "not a ratio"),
        (read_usd, 0, "must be more than 0"),
        (read_usd, -1, "must be more than 0"),
        (read_usd, "5 USD", "plain number"),
        (read_usd, float("inf"), "not an amount"),
        (read_count, 0, "less than 1"),
        (read_count, 2.5, "not a whole number"),
        (read_integer, False, "not a whole number"),
        (read_number, "x", "not a number"),
        (read_flag, "yes", "neither true nor false"),
        (read_flag, 1, "neither true nor false"),
    ],
)
def test_what_is_no_such_quantity_is_refused_with_what_to_write(read: Callable[[object], object], value: object, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        read(value)


@pytest.mark.parametrize(
    ("value", "size"), [("10MiB", 10 * 1024**2), ("64KiB", 65_536), ("1KB", 1000), ("0.5KiB", 512), (4096, 4096), ("7B", 7)]
)
def test_sizes_are_bytes(value: object, size: int) -> None:
    assert read_bytes(value) == size


def test_a_reference_may_bring_in_any_quantity_and_is_not_shown() -> None:
    assert read_ratio(Expanded("0.4", "${T}")) == 0.4
    assert read_count(Expanded("12", "${N}")) == 12
    assert read_flag(Expanded("True", "${F}")) is True
    assert read_duration(Expanded("2s", "${D}")) == 2.0
    for read in (read_duration, read_bytes, read_ratio, read_usd, read_count, read_number, read_flag):
        with pytest.raises(ValueError) as caught:
            read(Expanded("77hunters", "${T}"))
        assert "hunter" not in str(caught.value)
        assert "${T}" in str(caught.value)


@given(st.integers(1, 10**12).map(lambda ms: ms / 1000))
def test_a_written_duration_is_read_as_it_was(seconds: float) -> None:
    assert read_duration(write_duration(seconds)) == seconds


@given(st.integers(1, 2**50))
def test_a_written_size_is_read_as_it_was(size: int) -> None:
    assert read_bytes(write_bytes(size)) == size


@pytest.mark.parametrize(("seconds", "text"), [(0.8, "800ms"), (60.0, "1m"), (90.0, "90s"), (2_419_200.0, "28d"), (604_800.0, "7d")])
def test_durations_are_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert write_duration(seconds) == text


def test_every_unit_of_the_domain_can_be_read() -> None:
    kinds = {hint.__metadata__[0].kind for hint in vars(units).values() if hasattr(hint, "__metadata__")}
    assert kinds <= set(QUANTITIES)
    assert len(kinds) == 5
