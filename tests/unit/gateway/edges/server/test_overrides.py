"""What an operator asks for with pin, freeze and unpin."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.edges.server.overrides import FIELDS, read_change


def test_a_pin_is_read_with_everything_it_needs() -> None:
    body = b'{"verb":"pin","route":"auto","threshold":0.3,"for_s":3600,"by":"kim"}'
    assert read_change(body) == {"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 3600.0, "by": "kim"}


def test_a_freeze_needs_only_a_time() -> None:
    assert read_change(b'{"verb":"freeze","for_s":60}') == {"verb": "freeze", "for_s": 60.0, "by": ""}


def test_an_unpin_without_a_route_is_meant_for_all_of_them() -> None:
    assert read_change(b'{"verb":"unpin","route":"auto"}') == {"verb": "unpin", "route": "auto", "by": ""}
    assert read_change(b'{"verb":"unpin"}') == {"verb": "unpin", "route": None, "by": ""}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("{", "not JSON"),
        ("[]", "verb"),
        ('{"verb":"drop"}', "verb"),
        ('{"verb":"pin","threshold":0.3,"for_s":60}', "route"),
        ('{"verb":"pin","route":"auto","for_s":60}', "threshold"),
        ('{"verb":"pin","route":"auto","threshold":1.2,"for_s":60}', "threshold: a number from 0 to 1"),
        ('{"verb":"pin","route":"auto","threshold":true,"for_s":60}', "threshold"),
        ('{"verb":"pin","route":"auto","threshold":0.3}', "for_s"),
        ('{"verb":"pin","route":"auto","threshold":0.3,"for_s":1e9}', "for_s: a number from 1 to 604800"),
        ('{"verb":"freeze","for_s":60,"route":"auto"}', "freeze has no route; it takes by, for_s"),
        ('{"verb":"freeze","for_s":60,"by":"a\\nb"}', "by"),
        ('{"verb":"freeze","for_s":60,"by":"%s"}' % ("x" * 65), "by"),
    ],
)
def test_a_mistake_is_named(body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_change(body.encode())


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(["by", "route", "threshold", "for_s", "x"]), json_values), st.sampled_from([*FIELDS, "x"]))
def test_whatever_is_sent_the_result_is_a_change_within_bounds_or_a_value_error(given: dict[str, object], verb: str) -> None:
    try:
        change = read_change(json.dumps({**given, "verb": verb}).encode())
    except ValueError:
        return
    assert 0 <= change.get("threshold", 0) <= 1
    assert 1 <= change.get("for_s", 1) <= 7 * 86_400
    assert change.keys() <= FIELDS[verb]
