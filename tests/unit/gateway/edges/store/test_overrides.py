"""Overrides: what a change writes, what holds now, what is refused."""

import json
import math

import pytest

from gateway.domain.prices import Pin
from gateway.edges.store import overrides


def test_a_pin_holds_until_its_time_and_not_after() -> None:
    name, text = overrides.written({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60, "by": "ada"}, 1000.0)
    assert overrides.read({name: text}, 1059.0).pins == {"auto": Pin("auto", 0.3, 1060.0, "ada")}
    assert overrides.read({name: text}, 1060.0).pins == {}


def test_a_freeze_says_who_and_until_when() -> None:
    name, text = overrides.written({"verb": "freeze", "for_s": 60, "by": "ada"}, 1000.0)
    read = overrides.read({name: text}, 1001.0)
    assert (read.frozen_until_wall_s, read.frozen_by) == (1060.0, "ada")
    assert overrides.read({name: text}, 2000.0).frozen_until_wall_s == 0.0


def test_unpin_clears_one_route_or_everything() -> None:
    pinned, _ = overrides.written({"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60}, 0.0)
    assert overrides.written({"verb": "unpin", "route": "auto"}, 0.0) == (pinned, "")
    assert overrides.written({"verb": "unpin", "route": None}, 0.0) == ("", "")


def test_the_audit_line_says_what_who_and_when_and_nothing_else() -> None:
    change = {"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60, "by": "ada" * 999, "prompt": "secret"}
    line = json.loads(overrides.audited(change, 1000.0))
    assert line == {"at_wall_s": 1000.0, "by": ("ada" * 999)[:200], "verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 60}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"verb": "explode"}, "unknown override 'explode'"),
        ({}, "unknown override None"),
        ({"verb": "freeze"}, "a freeze needs for_s"),
        ({"verb": "freeze", "for_s": math.nan}, "a freeze needs for_s"),
        ({"verb": "pin", "route": "", "threshold": 0.5, "for_s": 1}, "a pin needs a route"),
        ({"verb": "pin", "route": "auto", "threshold": 1.5, "for_s": 1}, "lies in 0..1"),
        ({"verb": "pin", "route": "auto", "threshold": True, "for_s": 1}, "needs threshold"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        overrides.written(change, 0.0)
