"""A trial: one prompt, decided as a gateway of this configuration would decide, without a gateway, a store or a backend."""

import argparse
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.assemble import build
from gateway.commands.export import read_if_there
from gateway.config.errors import meant
from gateway.config.load import Config, load
from gateway.core.state import State
from gateway.core.ticket import Ticket
from gateway.domain.catalog import Route, TrafficClass
from gateway.domain.decision import Shed
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.domain.prices import Overrides, Prices
from gateway.edges.scoring.scorer import Scoring
from gateway.runtime import Runtime


class Unanswerable(Exception):
    """The question has no answer under this configuration; the message is for the operator."""


@dataclass(frozen=True)
class Trial:
    """A prompt and who sends it."""

    config: Config
    route: Route
    klass: TrafficClass
    prompt: str
    tokens_max: int | None
    scoring: Scoring = field(default_factory=Scoring)
    """Keeps the router's artifact, so that a trial can be repeated."""

    def build(self) -> Runtime:
        """Return a gateway that has seen nothing yet.

        Raises: ArtifactError.
        """
        return build(self.config, State(), self.scoring, 1)

    def decide(self, runtime: Runtime, prices: Prices, health: Mapping[str, tuple[float, float]] | None = None) -> Ticket | Shed:
        """Return the decision; hard limits of tenants are not looked at.

        Args:
            health: success and lateness by model, where they are not those of a healthy one.
        """
        dispatcher, catalog = runtime.dispatcher, runtime.catalog
        dispatcher.adopt(prices, Overrides(), 0.0)
        for name, (success, late) in (health or {}).items():
            known = dispatcher.state.placement.health(name)
            known.success, known.late = success, late
        n_bytes = len(self.prompt.encode("utf-8", "surrogatepass"))
        facts = RequestFacts(
            "req_tried", Endpoint.CHAT, "explain", self.klass, self.route.name, tuple(catalog.models[m] for m in self.route.models),
            dispatcher.state.tokens.prompt(self.route.name, n_bytes), self.tokens_max, True, 0.0, (0.5, 1.0),
        )  # fmt: skip
        scorer = runtime.scorers.get(self.route.name)
        qualities = None if scorer is None else scorer.qualities(self.prompt)
        return dispatcher.decide(facts, qualities, 0.0)


def trial_of(args: argparse.Namespace) -> Trial:
    """Return what the command line asks to try.

    Raises: ConfigErrors, Unanswerable.
    """
    config = load(args.config, os.environ, read_secret=read_if_there)
    catalog = config.catalog
    tenant = args.tenant or catalog.open_tenant
    usual = catalog.tenants[known(tenant, catalog.tenants, "tenant")].klass if tenant else next(iter(catalog.classes), "")
    route = catalog.routes[known(args.route or next(iter(catalog.routes), ""), catalog.routes, "route")]
    klass = catalog.classes[known(args.klass or usual, catalog.classes, "class", "classes")]
    return Trial(config, route, klass, args.prompt, args.tokens)


def known(name: str, names: Mapping[str, object], one: str, many: str | None = None) -> str:
    """Return a name that is in the configuration.

    Raises: Unanswerable for any other, with what was probably meant.
    """
    if name not in names:
        raise Unanswerable(f"no {one} {name!r}, {meant(name, names, many or one + 's')}" if name else f"there are no {many or one + 's'}")
    return name
