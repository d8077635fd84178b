"""The port that every router stands behind: prompts in, one quality per model out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from router_models.conversation import Conversation


class ArtifactError(ValueError):
    """An artifact cannot be used; the message says what is wrong and what to do."""


class Router(Protocol):
    """Estimates, for each model, how good its answer to a prompt would be."""

    models: tuple[str, ...]
    """Names in column order, strong first."""

    @property
    def reads_conversation(self) -> bool:
        """Whether facts of the conversation move its answers; where they do not, nobody needs to count them."""
        ...

    def quality(self, prompts: Sequence[str], conversations: Sequence[Conversation] | None = None) -> NDArray[np.float64]:
        """Estimate the expected score of each model's answer.

        Args:
            prompts: the newest question of each request.
            conversations: what surrounds each of them; None: they are lone questions.
        Returns: float64, shape (len(prompts), len(models)), each in [0, 1], rows in the order given; deterministic.
        """
        ...

    def quality_one(self, prompt: str, conversation: Conversation | None = None) -> tuple[float, ...]:
        """Answer for one prompt as Python floats, bit for bit row 0 of `quality([prompt], [conversation])`; the serving path."""
        ...

    def quality_many(self, prompts: Sequence[str], conversations: Sequence[Conversation | None]) -> list[tuple[float, ...]]:
        """Answer for prompts that wait together: what `quality_one` says of each but for rounding (1e-9), at less cost."""
        ...
