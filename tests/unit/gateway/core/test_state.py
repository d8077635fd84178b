"""What is remembered between requests."""

import ast
import inspect

import gateway.core.state
from gateway.core.state import State


def test_a_fresh_process_knows_nothing_and_owes_nothing() -> None:
    state = State()
    assert state.prices is None and state.reserved_usd == 0.0 and state.schedule.waiting == 0
    assert state.overrides.pins == {} and state.counts.fields() == set()


def test_two_processes_share_nothing() -> None:
    one, other = State(), State()
    one.counts.add([("n", 1)], 0.0)
    one.placement.health("strong").success = 0.1
    one.sample.add("auto", 1.0, (0.5, 0.4), (0.1, 0.01))
    assert other.counts.fields() == set() and other.placement.health("strong").success == 0.999


def test_it_takes_no_options_so_that_it_survives_a_config_swap() -> None:
    assert list(inspect.signature(State).parameters) == []
    imported = [n.module or "" for n in ast.walk(ast.parse(inspect.getsource(gateway.core.state))) if isinstance(n, ast.ImportFrom)]
    assert not [m for m in imported if "options" in m or m.startswith(("gateway.config", "gateway.edges"))]
