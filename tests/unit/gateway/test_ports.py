"""Where stories, edges and core meet."""

import inspect

import pytest

from gateway import ports
from gateway.domain.errors import Reason
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.edges.scoring.scorer import ArtifactScorer
from gateway.edges.scoring.share import ShareScorer
from gateway.edges.store.memory import MemoryStore
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.edges.telemetry.decisions import FileDecisionLog
from gateway.edges.upstream.pool import AiohttpUpstream

IMPLEMENTED = [
    (ports.Clock, SystemClock),
    (ports.Chance, SystemChance),
    (ports.Scorer, ArtifactScorer),
    (ports.Scorer, ShareScorer),
    (ports.Store, MemoryStore),
    (ports.Store, RedisStore),
    (ports.Recorder, SlotRecorder),
    (ports.DecisionLog, FileDecisionLog),
    (ports.Upstream, AiohttpUpstream),
]


@pytest.mark.parametrize(("port", "edge"), IMPLEMENTED, ids=lambda t: t.__name__)
def test_an_edge_answers_every_call_of_its_port_with_the_same_arguments(port: type, edge: type) -> None:
    calls = {name: member for name, member in vars(port).items() if inspect.isfunction(member) and not name.startswith("_")}
    assert calls
    for name, wanted in calls.items():
        given = getattr(edge, name)
        assert inspect.iscoroutinefunction(given) == inspect.iscoroutinefunction(wanted), name
        asked = list(inspect.signature(wanted).parameters)
        offered = inspect.signature(given).parameters
        assert list(offered)[: len(asked)] == asked, name
        assert all(p.default is not p.empty for p in list(offered.values())[len(asked) :]), name


def test_a_failed_attempt_carries_what_is_passed_on_to_the_client() -> None:
    failure = ports.UpstreamFailure(Reason.UPSTREAM_ERROR, "500 from s1", 500, [("retry-after", "2")], b"{}", 2.0)
    assert (failure.reason, str(failure), failure.status, failure.retry_after_s) == (Reason.UPSTREAM_ERROR, "500 from s1", 500, 2.0)
    assert failure.body == b"{}" and list(failure.headers) == [("retry-after", "2")]


def test_a_store_that_is_away_and_a_client_that_left_are_told_apart() -> None:
    assert not issubclass(ports.StoreAway, ports.ClientGone) and not issubclass(ports.ClientGone, ports.StoreAway)


def test_a_call_is_what_is_sent() -> None:
    call = ports.Call("/chat/completions", b"{}", (("a", "b"),), True, 5.0, 60.0)
    assert call == ports.Call("/chat/completions", b"{}", (("a", "b"),), True, 5.0, 60.0)
