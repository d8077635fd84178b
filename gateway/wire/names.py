"""What the client's `model` string says: a plain name, or a router with a threshold in RouteLLM's spelling."""

import re

from gateway.domain.value import Value

# Split from the right, since router names may hold dashes; the exponent is how Python prints small thresholds (1e-05).
_ROUTER = re.compile(r"router-(.*[^-])-(0|1|[01]?\.[0-9]+|[01]\.|[0-9](?:\.[0-9]+)?e-[0-9]{1,3})", re.ASCII | re.DOTALL)
_NAME_CHARS_MAX = 256


class ModelName(Value, frozen=True):
    """A name and, for `router-<name>-<threshold>`, the threshold."""

    name: str
    """Route or model; for a router the part between `router-` and the threshold."""
    threshold: float | None = None
    """Win rate from which the client wants the strong model, 0..1; None for a plain name."""

    @property
    def is_router(self) -> bool:
        """True for the spelling with a threshold."""
        return self.threshold is not None


def parse_model(name: str) -> ModelName:
    """Read a model string; what does not follow the router spelling exactly is a plain name, never an error.

    `router-mf-0.11593` is router `mf` at 0.11593; `router-mf-1.5`, `router-0.5` and `router-mf-nan` are plain names.
    """
    if not name.startswith("router-") or len(name) > _NAME_CHARS_MAX:
        return ModelName(name)
    found = _ROUTER.fullmatch(name)
    if found is None:
        return ModelName(name)
    threshold = float(found.group(2))
    return ModelName(found.group(1), threshold) if threshold <= 1.0 else ModelName(name)
