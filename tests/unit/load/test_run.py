"""What a run over sockets makes of what it sees; the playing itself is shown in tests/integration/load."""

from pathlib import Path

import pytest

from load.events import Event, EventError
from load.result import SERVED, Row
from load.run import Options, account, check, sample_of

STATE = {
    "board": {
        "alpha_ref": {"auto": 0.3, "other": 0.9},
        "mode": "normal",
        "budgets": [
            {"slo": "spend", "price": 0.4, "projected": 0.9, "spent_usd": 2.5},
            {"slo": "availability", "price": 0.0, "projected": None},
        ],
    },
    "local": {"backends": [{"id": "strong@x", "breaker": "open"}]},
    "worker": {"store": {"kind": "embedded"}, "duties": {"flush": "away"}, "config": {"generation": 2}},
}


def test_a_sample_is_read_from_the_admin_state() -> None:
    sample = sample_of(STATE, 12.0, "auto", "spend")
    assert (sample.t_s, sample.alpha_ref, sample.spent_usd, sample.mode) == (12.0, 0.3, 2.5, "normal")
    assert sample.prices == {"spend": 0.4, "availability": 0.0}
    assert sample.projected == {"spend": 0.9, "availability": None}
    assert sample.breakers == {"strong@x": "open"}


def test_without_a_cost_budget_nothing_is_known_to_be_spent() -> None:
    assert sample_of(STATE, 0.0, "nowhere", None).spent_usd is None
    assert sample_of(STATE, 0.0, "nowhere", None).alpha_ref is None


def test_the_account_lays_both_sides_side_by_side() -> None:
    rows = [Row(0.0, "standard", "strong", SERVED, 0.1, 1.0, usd=0.5)] * 4
    told = account(rows, 1.9, STATE)
    assert (told["harness_usd"], told["gateway_usd"], told["gateway_over_harness"]) == (2.0, 1.9, 0.95)
    assert told["gateway_troubles"] == {"flush": "away"}


def test_a_gateway_that_says_nothing_is_no_data() -> None:
    told = account([], None, None)
    assert (told["gateway_usd"], told["gateway_over_harness"], told["gateway_store"]) == (None, None, None)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (Options(Path(), url="http://x", events=(Event.read("reload@5"),)), "--url"),
        (Options(Path(), speed=6.0, events=(Event.read("restart-gateway@5:5"),)), "--speed 1"),
    ],
)
def test_what_cannot_be_played_is_said_before_anything_starts(options: Options, says: str) -> None:
    with pytest.raises(EventError, match=says):
        check(options)


def test_what_can_be_played_is() -> None:
    check(Options(Path(), speed=6.0, events=(Event.read("kill-store@5:5"),)))
    check(Options(Path(), events=(Event.read("restart-gateway@5:5"),)))
