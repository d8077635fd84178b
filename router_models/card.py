"""What an artifact says about itself: names, knots, evidence, licences, and the hash that ties them to the arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Interpolation, Knots
from router_models.port import ArtifactError

SCHEMA_VERSION = 1
"""Raised when an older library could misread a newer card."""

SAMPLE_ROWS_MAX = 2000
"""Rows of held-out qualities kept for whoever needs the histogram; 2,000 place a share within about a point."""


@dataclass(frozen=True)
class Golden:
    """A prompt, and what the artifact said about it when it was made."""

    prompt: str
    signals: tuple[float, ...]
    """Before calibration: they tell changed weights even where an out-of-domain prompt is answered by its length."""
    quality: tuple[float, ...]


@dataclass(frozen=True)
class Source:
    """One data file that the artifact learned from."""

    file: str
    sha256: str
    licence: str
    rows: int
    """Rows used, after exclusions and held-out folds."""


@dataclass(frozen=True, eq=False)
class Card:
    """The facts of one artifact; everything but `sample` comes from card.json."""

    artifact_id: str
    """sha256 over the card's content, which contains the hash of the arrays."""
    schema_version: int
    kind: str
    """Key of the router in the registry."""
    models: tuple[str, ...]
    """Column order, strong first."""
    label: str
    """How a win is defined."""
    gain_knots: Knots
    """(win rate, gain), strictly increasing, from win rate 0 to 1; empty unless there are exactly two models."""
    sample: NDArray[np.float64]
    """Qualities of held-out calibration prompts, shape (<= 2000, models)."""
    score_quantiles: tuple[float, ...]
    """Win rate at the 0, 1, .. 100 % quantiles of the same prompts."""
    golden: tuple[Golden, ...]
    metrics: Mapping[str, Any]
    data: tuple[Source, ...]
    feature_hash: str
    """Digest of the feature spec; empty for routers that hash nothing."""
    options: Mapping[str, Any]
    """What the router's constructor reads besides its arrays."""
    recipe: Mapping[str, Any]
    """The recipe that the artifact was trained with."""
    arrays_sha256: str
    stems: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, dtype=np.uint64))
    """Keys of the questions trained on (`split.stem_key`), so that an evaluation can refuse them; sorted."""
    _to_gain: Interpolation | None = field(init=False, repr=False, default=None)
    _to_win_rate: Interpolation | None = field(init=False, repr=False, default=None)

    def __post_init__(self) -> None:
        if self.gain_knots:
            to_gain = Interpolation([p for p, _ in self.gain_knots], [g for _, g in self.gain_knots])
            object.__setattr__(self, "_to_gain", to_gain)
            object.__setattr__(self, "_to_win_rate", to_gain.inverse())

    @property
    def short_id(self) -> str:
        """The first 12 hex digits, for people."""
        return self.artifact_id[:12]

    def gain(self, win_rate: float) -> float:
        """Return the expected q_strong - q_weak at a win rate; strictly increasing on [0, 1], constant outside."""
        if self._to_gain is None:
            raise ArtifactError("gain and win rate are defined for two models only; compare qualities instead")
        return self._to_gain(win_rate)

    def win_rate(self, gain: float) -> float:
        """Return the win rate at an expected gain: the inverse of `gain`, constant beyond its ends."""
        if self._to_win_rate is None:
            raise ArtifactError("gain and win rate are defined for two models only; compare qualities instead")
        return self._to_win_rate(gain)

    def to_json(self) -> dict[str, Any]:
        """Return card.json's content, with the artifact's id."""
        content: dict[str, Any] = {
            "schema_version": self.schema_version,
            "kind": self.kind,
            "models": list(self.models),
            "label": self.label,
            "gain_knots": [list(knot) for knot in self.gain_knots],
            "score_quantiles": list(self.score_quantiles),
            "golden": [{"prompt": g.prompt, "signals": list(g.signals), "quality": list(g.quality)} for g in self.golden],
            "metrics": dict(self.metrics),
            "data": [{"file": d.file, "sha256": d.sha256, "licence": d.licence, "rows": d.rows} for d in self.data],
            "feature_hash": self.feature_hash,
            "options": dict(self.options),
            "recipe": dict(self.recipe),
            "arrays_sha256": self.arrays_sha256,
        }
        return {"artifact_id": content_hash(content), **content}


def win_rates(card: Card, quality: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the win rate of each row of qualities, shape (n,)."""
    return np.array([card.win_rate(gain) for gain in (quality[:, 0] - quality[:, -1]).tolist()], dtype=np.float64)


def content_hash(content: Mapping[str, Any]) -> str:
    """Return sha256 of the card's content without its own id, in one canonical spelling."""
    bare = {k: v for k, v in content.items() if k != "artifact_id"}
    return hashlib.sha256(json.dumps(bare, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()).hexdigest()


def read_card(content: Mapping[str, Any], sample: NDArray[np.float64], stems: NDArray[np.uint64]) -> Card:
    """Build the card from parsed JSON.

    Raises: KeyError, TypeError or ValueError when a field is missing or of the wrong form.
    """
    return Card(
        artifact_id=_text(content["artifact_id"]),
        schema_version=int(content["schema_version"]),
        kind=_text(content["kind"]),
        models=tuple(_text(m) for m in content["models"]),
        label=_text(content["label"]),
        gain_knots=tuple((float(p), float(g)) for p, g in content["gain_knots"]),
        sample=sample,
        score_quantiles=_floats(content["score_quantiles"]),
        golden=tuple(Golden(_text(g["prompt"]), _floats(g["signals"]), _floats(g["quality"])) for g in content["golden"]),
        metrics=dict(content["metrics"]),
        data=tuple(Source(_text(d["file"]), _text(d["sha256"]), _text(d["licence"]), int(d["rows"])) for d in content["data"]),
        feature_hash=_text(content["feature_hash"]),
        options=dict(content["options"]),
        recipe=dict(content["recipe"]),
        arrays_sha256=_text(content["arrays_sha256"]),
        stems=stems,
    )


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(v) for v in values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, found {type(value).__name__}")
    return value
