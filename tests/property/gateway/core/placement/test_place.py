"""Placement keeps its bounds whatever comes."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.placement.accounts import Attempt, PlacementState
from gateway.core.placement.place import look
from gateway.domain.catalog import Backend, Model, Tariff

OWN = Model("m", Tariff(1, 2), 32000, tuple(Backend(f"m@{i}", f"http://{i}/v1", "m", is_self_hosted=True) for i in range(3)))


@given(st.lists(st.tuples(st.integers(1, 8000), st.floats(0, 2), st.integers(0, 5)), max_size=60))
def test_no_engine_gets_more_than_its_bound_except_one_request_alone(events: list[tuple[int, float, int]]) -> None:
    state, now_s = PlacementState(), 0.0
    running: list[Attempt] = []
    for tokens, later_s, end in events:
        now_s += later_s
        outlook = look(OWN, tokens, now_s, state)
        assert (outlook.room == "now") == (outlook.backend is not None)
        if outlook.backend is not None:
            running.append(state.sent(OWN, outlook.backend, tokens, now_s))
        for backend in OWN.backends:
            load = state.account(backend.id, "m").load
            assert load.pending_tokens(now_s) <= backend.pending_tokens_max or load.waiting == 1
        if end < len(running):
            attempt = running.pop(end)
            attempt.first_token(now_s)
            attempt.succeeded(now_s)
