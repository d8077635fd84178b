"""What the story of a request needs is there."""

import inspect

import pytest

from gateway.edges.store.leases import LeaseDesk
from gateway.edges.telemetry.metrics import Metrics
from gateway.edges.upstream.options import UpstreamOptions
from gateway.edges.upstream.pool import AiohttpUpstream
from gateway.pipeline import needs
from gateway.pipeline.pipeline import Pipeline

OFFERED = [(needs.Upstream, AiohttpUpstream), (needs.Observer, Metrics), (needs.Leases, LeaseDesk), (needs.Shared, Pipeline)]


@pytest.mark.parametrize(("need", "offer"), OFFERED, ids=lambda t: t.__name__)
def test_who_offers_something_takes_what_is_handed_over(need: type, offer: type) -> None:
    calls = {name: member for name, member in vars(need).items() if inspect.isfunction(member) and not name.startswith("_")}
    assert calls
    for name, wanted in calls.items():
        given = getattr(offer, name)
        assert inspect.iscoroutinefunction(given) == inspect.iscoroutinefunction(wanted), name
        assert len(inspect.signature(given).parameters) == len(inspect.signature(wanted).parameters), name


def test_the_configuration_has_the_clocks_of_a_request() -> None:
    clocks = {name for name, member in vars(needs.Patience).items() if isinstance(member, property)}
    assert clocks and clocks <= set(UpstreamOptions.__dataclass_fields__)
