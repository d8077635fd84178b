"""Attempts and the accounts they are entered in."""

import pytest

from gateway.core.placement.accounts import ACCOUNTS_MAX, PlacementState
from gateway.core.placement.breaker import CLOSED, HALF_OPEN, OPEN
from gateway.domain.catalog import Backend, Model, Tariff

GPU = Backend("weak@gpu", "http://gpu:8000/v1", "small", engine="vllm", is_self_hosted=True)
API = Backend("strong@api", "https://api.example.com/v1", "big")
WEAK, STRONG = Model("weak", Tariff(0.1, 0.2), 32000, (GPU,)), Model("strong", Tariff(2.5, 10), 128000, (API,))


def test_an_attempt_reserves_its_tokens_and_returns_them_once_whoever_ends_it() -> None:
    state = PlacementState()
    attempt = state.sent(WEAK, GPU, 700, 1.0)
    load = state.account(GPU.id, "weak").load
    assert load.pending_tokens(1.0) == 700
    attempt.failed(2.0)
    attempt.first_token(2.1)
    attempt.succeeded(2.2)
    attempt.released()
    assert (load.pending_tokens(3.0), load.in_flight) == (0, 0)


def test_first_tokens_of_streams_teach_the_speed_and_other_answers_do_not() -> None:
    state = PlacementState()
    ttft = state.account(GPU.id, "weak").ttft
    for i in range(30):
        state.sent(WEAK, GPU, 1000, i, is_streaming=False).first_token(i + 5.0)
    assert ttft.predict(0, 1000, 0, 30.0) == pytest.approx(0.2)
    for i in range(30):
        attempt = state.sent(WEAK, GPU, 1000, 30.0 + i)
        attempt.first_token(30.5 + i)
        attempt.succeeded(30.9 + i)
    assert ttft.predict(0, 1000, 0, 60.0) > 0.4


def test_a_trial_is_judged_at_its_first_token_and_only_once() -> None:
    state = PlacementState()
    breaker = state.account(API.id, "strong").breaker
    for at_s in (1.0, 1.1):
        state.sent(STRONG, API, 10, at_s).failed(at_s, unreachable=True)
    assert breaker.state is OPEN and breaker.may_send(4.0)
    for at_s in (4.0, 5.0, 6.0):
        attempt = state.sent(STRONG, API, 10, at_s)
        assert not breaker.may_send(at_s)
        attempt.first_token(at_s + 0.2)
        assert breaker.may_send(at_s + 0.2)
        attempt.succeeded(at_s + 0.9)
    assert breaker.state is HALF_OPEN
    state.sent(STRONG, API, 10, 7.0).first_token(7.1)
    assert breaker.state is CLOSED


def test_a_backend_that_cuts_every_answer_after_its_first_token_opens_the_breaker() -> None:
    state = PlacementState()
    for at_s in (1.0, 2.0, 3.0):
        attempt = state.sent(STRONG, API, 10, at_s)
        attempt.first_token(at_s + 0.1)
        attempt.failed(at_s + 0.5)
    assert state.account(API.id, "strong").breaker.state is OPEN


def test_a_request_retried_on_the_same_backend_counts_once() -> None:
    state = PlacementState()
    for at_s in (1.0, 2.0):
        state.sent(STRONG, API, 10, at_s).failed(at_s)
        for _ in range(4):
            state.sent(STRONG, API, 10, at_s).failed(at_s, counts=False)
    assert state.account(API.id, "strong").breaker.state is CLOSED


def test_a_rate_limit_stops_the_backend_and_leaves_its_breaker_closed() -> None:
    state = PlacementState()
    state.sent(STRONG, API, 10, 1.0).limited(21.0)
    breaker = state.account(API.id, "strong").breaker
    assert breaker.state is CLOSED and not breaker.may_send(20.0) and breaker.may_send(21.0)


def test_two_models_on_one_backend_share_its_load_but_not_its_breaker() -> None:
    state = PlacementState()
    lora = Model("lora", Tariff(0.1, 0.2), 32000, (GPU,))
    state.sent(lora, GPU, 400, 1.0)
    assert state.account(GPU.id, "weak").load.in_flight == 1
    for _ in range(2):
        state.sent(lora, GPU, 1, 1.0).failed(1.0, unreachable=True)
    assert not state.account(GPU.id, "lora").breaker.may_send(1.5) and state.account(GPU.id, "weak").breaker.may_send(1.5)


def test_probes_and_scrapes_reach_the_accounts() -> None:
    state = PlacementState()
    state.probed(GPU.id, "weak", False, 1.0)
    state.probed(GPU.id, "weak", False, 2.0)
    state.scraped(GPU.id, "weak", 3, 5, 2.0)
    assert state.account(GPU.id, "weak").breaker.state is OPEN and state.account(GPU.id, "weak").load.requests(2.0) == 8


def test_a_config_swap_forgets_what_left_and_attempts_in_flight_still_end() -> None:
    state = PlacementState()
    attempt, kept = state.sent(STRONG, API, 10, 1.0), state.account(GPU.id, "weak")
    state.health("strong").settle(False, None)
    state.retain([WEAK])
    attempt.succeeded(2.0)
    assert state.account(GPU.id, "weak") is kept
    assert state.account(API.id, "strong").load.in_flight == 0 and not state.health("strong").is_sick


def test_memory_is_bounded_whatever_names_come() -> None:
    state = PlacementState()
    for i in range(ACCOUNTS_MAX + 10):
        state.account(f"b{i}", "m")
        state.health(f"m{i}")
    assert len(state._accounts) == len(state._backends) == len(state._healths) == ACCOUNTS_MAX
