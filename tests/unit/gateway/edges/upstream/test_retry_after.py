"""Retry-After in all its spellings."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from gateway.edges.upstream.retry_after import RETRY_AFTER_S_MAX, retry_after_s

NOW = 1_700_000_000.0


@pytest.mark.parametrize(
    ("headers", "wish_s"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": " 0.5 "}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"retry-after": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"retry-after": "-5"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "1e99"}, RETRY_AFTER_S_MAX),
        ({"retry-after": "inf"}, RETRY_AFTER_S_MAX),
        ({"retry-after": "next week"}, None),
        ({"retry-after": ""}, None),
    ],
)
def test_seconds_milliseconds_and_dates_are_read(headers, wish_s):
    assert retry_after_s(CIMultiDict(headers), NOW) == wish_s


@given(st.text())
def test_nothing_that_a_backend_can_write_breaks_it(text):
    wish_s = retry_after_s(CIMultiDict({"retry-after": text}), NOW)
    assert wish_s is None or 0 <= wish_s <= RETRY_AFTER_S_MAX
