"""Which backend takes a request."""

from math import inf

from gateway.core.placement.accounts import PlacementState
from gateway.core.placement.place import look, place, room
from gateway.domain.catalog import Backend, Model, Tariff

A = Backend("m@a", "http://a:8000/v1", "m", engine="vllm", is_self_hosted=True)
B = Backend("m@b", "http://b:8000/v1", "m", engine="vllm", is_self_hosted=True)
X = Backend("h@x", "https://x.example.com/v1", "h")
Y = Backend("h@y", "https://y.example.com/v1", "h")
OWN, HOSTED, SINGLE = (Model(n, Tariff(1, 2), 32000, bs) for n, bs in (("own", (A, B)), ("hosted", (X, Y)), ("single", (A,))))


def broken(state: PlacementState, model: Model, *backends: Backend, at_s: float = 0.0) -> None:
    for backend in backends:
        for _ in range(2):
            state.sent(model, backend, 1, at_s).failed(at_s, unreachable=True)


def test_the_backend_with_less_to_prefill_takes_it() -> None:
    state = PlacementState()
    assert place(OWN, 500, 0.0, state) is A
    state.sent(OWN, A, 3000, 0.0)
    assert place(OWN, 500, 0.0, state) is B
    state.sent(OWN, B, 300, 0.0)
    assert place(OWN, 500, 0.0, state) is B


def test_the_faster_machine_takes_more_than_half() -> None:
    state = PlacementState()
    for i in range(60):
        state.account(A.id, "own").ttft.observe(100.0 * (i % 30), 0, 0.05 + 1.9e-4 * 100 * (i % 30), float(i))
        state.account(B.id, "own").ttft.observe(100.0 * (i % 30), 0, 0.03 + 0.85e-4 * 100 * (i % 30), float(i))
    taken = []
    for _ in range(6):
        backend = place(OWN, 500, 60.0, state)
        assert backend is not None
        state.sent(OWN, backend, 500, 60.0)
        taken.append(backend)
    assert taken[0] is B and taken.count(B) == 4


def test_a_self_hosted_backend_whose_bound_would_be_exceeded_has_no_room_until_a_prefill_ends() -> None:
    state = PlacementState()
    attempt = state.sent(SINGLE, A, 3000, 0.0)
    assert room(SINGLE, 1096, 0.0, state) == "now"
    assert room(SINGLE, 1097, 0.0, state) == "later" and place(SINGLE, 1097, 0.0, state) is None
    outlook = look(SINGLE, 1097, 0.0, state)
    assert 0.5 < outlook.wait_s < inf and outlook.is_bounded
    attempt.first_token(0.4)
    assert place(SINGLE, 1097, 0.4, state) is A


def test_a_backend_with_nothing_pending_takes_even_a_prompt_beyond_the_bound() -> None:
    state = PlacementState()
    assert place(SINGLE, 20000, 0.0, state) is A
    assert look(SINGLE, 20000, 0.0, state).delay_s == 0.0
    state.sent(SINGLE, A, 20, 0.0)
    assert room(SINGLE, 20000, 0.0, state) == "later"


def test_room_on_a_slower_backend_goes_before_no_room_on_a_faster_one() -> None:
    state = PlacementState()
    state.sent(OWN, A, 2000, 0.0)
    for i in range(40):
        state.account(B.id, "own").ttft.observe(10.0, 0, 3.0, i / 40)
    assert place(OWN, 500, 1.0, state) is A
    state.sent(OWN, A, 1900, 1.0)
    assert place(OWN, 500, 1.0, state) is B


def test_hosted_backends_have_no_bound_and_share_what_is_in_flight() -> None:
    state = PlacementState()
    for _ in range(100):
        backend = place(HOSTED, 5000, 0.0, state)
        assert backend is not None
        state.sent(HOSTED, backend, 5000, 0.0)
    loads = [state.account(b.id, "hosted").load.in_flight for b in (X, Y)]
    assert loads == [50, 50]
    outlook = look(HOSTED, 5000, 0.0, state)
    assert outlook.delay_s == 0.0 and not outlook.is_bounded


def test_a_broken_backend_is_passed_over_and_none_is_left_when_all_are() -> None:
    state = PlacementState()
    broken(state, HOSTED, X)
    assert place(HOSTED, 10, 1.0, state) is Y
    assert room(HOSTED, 10, 1.0, state, avoid=frozenset({Y.id})) == "down"
    broken(state, HOSTED, Y)
    assert room(HOSTED, 10, 1.0, state) == "down" and look(HOSTED, 10, 1.0, state).wait_s == inf


def test_a_half_open_backend_takes_one_trial_and_any_forced_probe() -> None:
    state = PlacementState()
    broken(state, SINGLE, A)
    assert place(SINGLE, 10, 2.0, state) is A
    state.sent(SINGLE, A, 10, 2.0)
    assert room(SINGLE, 10, 2.1, state) == "down"
    assert look(SINGLE, 10, 2.1, state, forced=True).backend is A
