"""Limits as operators see them: what is left, used and refused, of a bounded number of limits."""

import pytest

from gateway.core.tenants import shown as module
from gateway.core.tenants.limits import LACKING, LimitState
from gateway.core.tenants.scope import limits_of
from gateway.core.tenants.shown import shown
from gateway.domain.catalog import Limits, Tenant
from gateway.domain.decision import Shed

NOON = 20_000 * 86_400.0 + 43_200.0
KEY = "ab" * 32
TENANT = Tenant(
    "acme", (KEY,), "standard", Limits(rpm=60, tpm=6000, usd_per_day=2.0), key_limits={KEY: Limits(rpm=30)},
    model_limits={"strong": Limits(rpm=6)},
)  # fmt: skip


def take(state: LimitState, model: str = "weak", now_s: float = 0.0, key: str | None = None, tokens: int = 100, usd: float = 0.5) -> bool:
    """Take one request; return whether it was granted."""
    draw = state.draw(limits_of(TENANT, key, model), tokens, usd, now_s)
    answer = state.take(draw, now_s, NOON + now_s)
    assert answer is not LACKING
    return not isinstance(answer, Shed)


def test_nothing_is_shown_before_anybody_asked() -> None:
    assert shown(LimitState(), 0.0, NOON) == {"known": 0, "refused": {"requests": 0, "tokens": 0, "usd": 0}, "limits": []}


def test_a_limit_is_shown_in_its_own_unit_with_what_is_left_used_and_when_it_is_whole_again() -> None:
    state = LimitState()
    assert all(take(state) for _ in range(3))
    requests, tokens, dollars = shown(state, 0.5, NOON)["limits"]
    assert (requests["tenant"], requests["scope"], requests["of"], requests["kind"]) == ("acme", "tenant", None, "requests")
    assert (requests["amount"], requests["remaining"], requests["used"]) == (60.0, 57.5, 3.0)
    assert requests["whole_s"] == pytest.approx(2.5) and requests["said"] == "60 requests per minute"
    assert (tokens["amount"], tokens["used"], tokens["remaining"]) == (6000.0, 300.0, 5750.0)
    assert (dollars["amount"], dollars["used"], dollars["remaining"], dollars["whole_s"]) == (2.0, 1.5, 0.5, 43_200.0)


def test_the_limits_of_a_key_and_of_a_model_say_whose_they_are() -> None:
    state = LimitState()
    assert take(state, "strong", key=KEY)
    scopes = [(r["scope"], r["of"]) for r in shown(state, 0.0, NOON)["limits"]]
    assert scopes == [("tenant", None)] * 3 + [("key", KEY[:16]), ("model", "strong")]


def test_a_refusal_counts_for_the_limit_that_refuses_and_for_no_other() -> None:
    state = LimitState()
    assert [take(state) for _ in range(5)] == [True] * 4 + [False]
    seen = shown(state, 0.0, NOON)
    assert [r["refused"] for r in seen["limits"]] == [0, 0, 1] and seen["refused"] == {"requests": 0, "tokens": 0, "usd": 1}


def test_used_never_falls_where_an_estimate_was_too_high() -> None:
    state = LimitState()
    draw = state.draw(limits_of(TENANT, None, "weak"), 1000, 0.0, 0.0)
    assert state.take(draw, 0.0, NOON) is None
    told = [shown(state, 0.0, NOON)["limits"][1]["used"]]
    state.settle(draw, 200, 0.0)
    told.append(shown(state, 0.0, NOON)["limits"][1]["used"])
    for tokens in (500, 600):
        assert take(state, tokens=tokens, usd=0.0)
        told.append(shown(state, 0.0, NOON)["limits"][1]["used"])
    assert told == [1000.0, 1000.0, 1000.0, 1300.0]


def test_no_more_limits_are_shown_than_it_takes_to_stay_quick_but_all_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SHOWN_MAX", 2)
    state = LimitState()
    assert [take(state) for _ in range(5)][-1] is False
    seen = shown(state, 0.0, NOON)
    assert len(seen["limits"]) == 2 and seen["known"] == 3 and seen["refused"]["usd"] == 1
