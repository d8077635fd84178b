"""From a route's router artifact to qualities, gain and sample; or to the declared fallback, visibly.

A missing or broken artifact is no outage: the route answers by the declared strong share and says so. An artifact that
was loaded once is kept in memory by its reference, so its folder may vanish while the gateway runs.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gateway.domain.catalog import Route
from gateway.domain.facts import Talk
from gateway.edges.scoring.share import KNOTS, ShareScorer
from gateway.ports import Scorer
from router_models import artifact as artifacts
from router_models.artifact import Artifact
from router_models.port import ArtifactError, Router
from router_models.routers.constant import ConstantRouter

LOG = logging.getLogger("sluice.scoring")


@dataclass(frozen=True)
class Scored:
    """A route's scorer with what its artifact's card says."""

    scorer: Scorer
    knots: tuple[tuple[float, float], ...]
    """Calibrated gain, (win rate, gain)."""
    sample: NDArray[np.float64]
    """Qualities of held-out prompts, shape (n, m), route order."""
    trouble: str | None = None
    """Why the fallback answers; None while the router does."""


class ArtifactScorer:
    """Implements ports.Scorer on a loaded router; a router that raises is answered for by the fallback, and counted."""

    is_fallback = False

    def __init__(self, name: str, router: Router, fallback: ShareScorer) -> None:
        self.name, self._one, self._many, self._fallback = name, router.quality_one, router.quality_many, fallback
        self.reads_talk = router.reads_conversation
        self.errors = 0

    def qualities(self, prompt: str, talk: Talk | None = None) -> tuple[float, ...]:
        """Return q_m per model."""
        try:
            return self._one(prompt, talk)
        except Exception:
            self.errors += 1
            if self.errors == 1:
                LOG.exception("router %s failed on a prompt; the declared fallback answers", self.name)
            return self._fallback.qualities(prompt)

    def many(self, prompts: Sequence[str], talks: Sequence[Talk | None]) -> Sequence[tuple[float, ...]]:
        """Return q_m per model of each prompt; one that the router fails on does not harm the others."""
        try:
            return self._many(prompts, talks)
        except Exception:
            return [self.qualities(prompt, talk) for prompt, talk in zip(prompts, talks, strict=True)]


class Scoring:
    """Loads scorers, and keeps what was loaded."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str | None], Artifact] = {}

    def scored(self, route: Route, base: Path) -> Scored:
        """Return a route's scorer.

        Args:
            base: folder that a relative artifact path starts from (the configuration's).
        Raises: ArtifactError when the artifact does not fit the route: another number of models.
        """
        models, spec = len(route.models), route.router
        try:
            loaded = self._load(spec.artifact, spec.sha256, base)
        except (ArtifactError, OSError) as trouble:
            share_shown, strong = f"{spec.fallback_strong_share:.0%}", route.models[0]
            LOG.warning("route %s: %s; until that is mended %s of its requests go to %s", route.name, trouble, share_shown, strong)
            share = ShareScorer(spec.fallback_strong_share, models, str(trouble))
            return Scored(share, KNOTS, share.sample(), str(trouble))
        if len(loaded.card.models) != models:
            names = ", ".join(loaded.card.models)
            raise ArtifactError(f"route {route.name} has {models} models, its router scores {len(loaded.card.models)} ({names})")
        fallback = ShareScorer(spec.fallback_strong_share, models, "the router failed on this prompt")
        scorer = ArtifactScorer(f"{spec.artifact}@{loaded.card.artifact_id[:12]}", loaded.router, fallback)
        return Scored(scorer, tuple(loaded.card.gain_knots) or KNOTS, loaded.card.sample)

    def _load(self, reference: str, sha256: str | None, base: Path) -> Artifact:
        key = (reference if reference in ("builtin", "constant") else str((base / reference).resolve()), sha256)
        if key not in self._kept:
            if reference == "builtin":
                self._kept[key] = artifacts.builtin()
            elif reference == "constant":
                self._kept[key] = _constant(artifacts.builtin())
            else:
                self._kept[key] = artifacts.load(base / reference, sha256)
        return self._kept[key]


def _constant(known: Artifact) -> Artifact:
    """Return a router that says the builtin's mean qualities for every prompt: budgets are then met by share alone."""
    means = tuple(float(q) for q in known.card.sample.mean(axis=0))
    router = ConstantRouter(known.card.models, means)
    sample = np.tile(np.array(means), (100, 1))
    return Artifact(router, replace(known.card, kind="constant", gain_knots=router.gain_knots(), sample=sample))
