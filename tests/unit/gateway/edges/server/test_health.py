"""Alive and ready are two questions."""

from dataclasses import dataclass

from gateway.edges.server.health import liveness, readiness


@dataclass
class Life:
    """A process."""

    is_draining: bool = False
    generation: int | None = 1
    is_store_away: bool = False


def test_a_draining_or_unconfigured_process_lives_but_wants_no_traffic():
    assert readiness(Life())[0] == 200 and b'"config_generation":1' in readiness(Life())[1]
    assert readiness(Life(generation=None))[0] == 503
    assert readiness(Life(is_draining=True))[0] == 503
    for life in (Life(), Life(generation=None), Life(is_draining=True)):
        assert liveness(life)[0] == 200


def test_a_store_that_is_away_is_told_and_turns_nothing_red():
    assert b'"store":"connected"' in readiness(Life())[1]
    status, said = readiness(Life(is_store_away=True))
    assert status == 200 and b'"store":"away"' in said
