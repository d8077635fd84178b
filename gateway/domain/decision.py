"""What was decided about one request, with everything needed to decide it again."""

from gateway.domain.catalog import Backend, Model
from gateway.domain.errors import Reason
from gateway.domain.value import Value


class Choice(Value, frozen=True):
    """Which model, and why; pure function of the candidates, prices and draws (`core/routing/route.py`)."""

    model: str
    reason: str
    """One of `core/routing/route.py` WHY: score, soft_edge, threshold, client_threshold, probe, pin, only, observe, unfit, down."""
    scores: tuple[float, ...]
    """S_m of each candidate, in candidate order."""
    margin: float
    """Score of the first candidate minus the second, soft edge included; 0 with one candidate."""
    win_rate: float | None
    """Calibrated probability that the first candidate beats the second; None when nothing was scored."""
    threshold: float | None
    """α_i: the win rate from which this request goes strong."""


class Shed(Value, frozen=True):
    """A refusal of our own."""

    reason: Reason
    message: str
    retry_after_s: float
    param: str | None = None


class Placed(Value, frozen=True):
    """A choice with the backend that takes it."""

    choice: Choice
    model: Model
    backend: Backend
    prices_version: int
