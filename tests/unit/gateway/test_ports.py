"""What the ports promise, held against the edges that implement them."""

from gateway import ports
from gateway.domain.errors import Reason
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.edges.scoring.share import ShareScorer
from gateway.edges.store.memory import MemoryStore
from gateway.edges.store.recorder import SlotRecorder
from gateway.edges.store.redis import RedisStore
from gateway.edges.telemetry.decisions import FileDecisionLog
from gateway.edges.upstream.pool import AiohttpUpstream


def promised(protocol: type) -> set[str]:
    return {name for name, member in vars(protocol).items() if callable(member) and not name.startswith("_")}


def test_every_edge_has_all_that_its_port_promises():
    edges = {
        ports.Clock: [SystemClock],
        ports.Chance: [SystemChance],
        ports.Scorer: [ShareScorer],
        ports.Recorder: [SlotRecorder],
        ports.Store: [RedisStore, MemoryStore],
        ports.DecisionLog: [FileDecisionLog],
        ports.Upstream: [AiohttpUpstream],
    }
    for protocol, implementations in edges.items():
        assert promised(protocol), protocol
        for implementation in implementations:
            missing = {name for name in promised(protocol) if not callable(getattr(implementation, name, None))}
            assert not missing, f"{implementation.__name__} lacks {missing}"


def test_a_failed_attempt_keeps_what_the_backend_said():
    failure = ports.UpstreamFailure(Reason.UPSTREAM_RATE_LIMITED, "told to wait", status=429, body=b"{}", retry_after_s=7.0)
    assert (failure.reason, failure.status, failure.body, failure.retry_after_s, str(failure)) == (
        Reason.UPSTREAM_RATE_LIMITED, 429, b"{}", 7.0, "told to wait",
    )  # fmt: skip


def test_a_store_that_is_away_and_a_client_that_left_are_told_apart():
    assert not issubclass(ports.StoreAway, ports.ClientGone)
    assert not issubclass(ports.ClientGone, ports.StoreAway)
