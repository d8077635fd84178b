"""What every router of the family can do besides answering: be saved, be restored, be trained."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, Knots, ManyCalibration, ManyQualities, PairCalibration, PairQualities
from router_models.conversation import Conversation
from router_models.embedding import Embedders
from router_models.table import ScoreTable

Floats = NDArray[np.float64]
Arrays = Mapping[str, NDArray[Any]]
Rows = NDArray[np.int64]
"""Row numbers of a ScoreTable."""


class FamilyRouter(ABC):
    """A router with a constructor from stored arrays and options.

    Subclasses answer one prompt at a time; `quality` loops over that, which keeps both equal to the last bit and is still beyond 50,000
    prompts a second where one answer costs less than 20 us.
    """

    kind: ClassVar[str]
    """Key in the registry."""
    weakness: ClassVar[str]
    """What this router is not good at, in one sentence for people."""
    models: tuple[str, ...]

    @abstractmethod
    def signals(self, prompt: str) -> tuple[float, ...]:
        """Return what the router computes from a prompt, before calibration."""

    @abstractmethod
    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Turn signals into the quality of each model, in [0, 1]."""

    @property
    def reads_conversation(self) -> bool:
        """Whether facts of the conversation move the answers; most of the family reads the text alone."""
        return False

    def quality_one(self, prompt: str, conversation: Conversation | None = None) -> tuple[float, ...]:
        """Return the quality of each model for one prompt, Python floats in [0, 1]."""
        return self.combine(self.signals(prompt))

    def quality_many(self, prompts: Sequence[str], conversations: Sequence[Conversation | None]) -> list[tuple[float, ...]]:
        """Return what `quality_one` says of each prompt; a router that has a faster way for several may round differently."""
        return [self.quality_one(p, c) for p, c in zip(prompts, conversations, strict=True)]

    def quality(self, prompts: Sequence[str], conversations: Sequence[Conversation] | None = None) -> Floats:
        """Return qualities, float64, shape (len(prompts), len(models))."""
        if not prompts:
            return np.empty((0, len(self.models)), dtype=np.float64)
        if conversations is None or not self.reads_conversation:
            return np.array([self.quality_one(prompt) for prompt in prompts], dtype=np.float64)
        return np.array([self.quality_one(p, c) for p, c in zip(prompts, conversations, strict=True)], dtype=np.float64)

    def is_out_of_domain(self, prompt: str) -> bool:
        """Tell whether the prompt is unlike the training data; routers that cannot tell say no."""
        return False

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return what must be stored in arrays.npz."""

    @abstractmethod
    def options(self) -> dict[str, Any]:
        """Return what must be stored in card.json: numbers, text, lists."""

    def gain_knots(self) -> Knots:
        """Return (win rate, gain) knots for the card; empty when there are not exactly two models."""
        return ()

    def feature_hash(self) -> str:
        """Return the digest of the features that this router reads; empty when it hashes nothing."""
        return ""

    @classmethod
    @abstractmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build the router from what `arrays` and `options` returned.

        Args:
            embedders: sentence embeddings that the caller brings along, by name; only `dense` asks for one.
        Raises: KeyError, TypeError or ValueError when they do not fit together.
        """


class CalibratedRouter(FamilyRouter):
    """A router whose signals are one raw quality in [0, 1] per model, made honest by knots."""

    def __init__(self, models: tuple[str, ...], calibration: Calibration) -> None:
        if isinstance(calibration, PairCalibration) != (len(models) == 2):
            raise ValueError(f"{len(models)} models and a {type(calibration).__name__} do not fit")
        if isinstance(calibration, ManyCalibration) and len(calibration.raw) != len(models):
            raise ValueError(f"{len(models)} models and knots for {len(calibration.raw)}")
        self.models = models
        self.calibration = calibration
        self._pair = PairQualities(calibration) if isinstance(calibration, PairCalibration) else None
        self._strong_in_level = calibration.strong_in_level if isinstance(calibration, PairCalibration) else 0.5
        self._many = ManyQualities(calibration) if isinstance(calibration, ManyCalibration) else None

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return calibrated qualities; for two models their difference is a strictly increasing function of the raw difference."""
        if self._pair is not None:
            strong, weak = signals
            return self._pair(strong - weak, weak + self._strong_in_level * (strong - weak))
        assert self._many is not None
        return self._many(signals)

    def gain_knots(self) -> Knots:
        """Return the pair's knots."""
        return self.calibration.gain_knots() if isinstance(self.calibration, PairCalibration) else ()

    def options(self) -> dict[str, Any]:
        """Return the knots."""
        return {"calibration": self.calibration.to_json()}


def stored_calibration(models: tuple[str, ...], options: Mapping[str, Any]) -> Calibration:
    """Read the knots that `CalibratedRouter.options` stored."""
    content = options["calibration"]
    return PairCalibration.from_json(content) if len(models) == 2 else ManyCalibration.from_json(content)


class Fit(Protocol):
    """A model fitted on some rows, not yet calibrated."""

    def signals(self, rows: Rows) -> Floats:
        """Return the router's signals for rows of the table, one row each."""
        ...

    def router(self, signals: Floats, rows: Rows) -> FamilyRouter:
        """Calibrate on signals of rows that were held out when they were computed, and return the router that serves."""
        ...


class Fitter(Protocol):
    """Learns from rows of one table; what can be computed once per table is computed by the constructor."""

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None: ...

    def fit(self, rows: Rows) -> Fit:
        """Fit on the given rows only."""
        ...


def check_options(kind: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse options that a fitter would ignore.

    Raises: ValueError naming them and the known ones.
    """
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"unknown options {unknown} of {kind}; it knows {sorted(known)}")
