"""What each candidate model would probably do with a request."""

from gateway.domain.value import Value


class Expectation(Value, frozen=True, array_like=True):
    """One candidate's prospects; the inputs of its score. In JSON a list, in this order."""

    model: str
    quality: float
    """Predicted quality of its answer, 0..1."""
    success: float
    """Probability that an attempt succeeds now, 0..1."""
    late: float
    """Probability that the first token comes later than the ttft SLO allows a prompt of this length, 0..1."""
    usd: float
    """Expected dollars at list prices, times the learned billed/expected factor."""
    completion_tokens: int
    stall: float = 0.0
    """Probability that the answer comes more slowly than its expected timeline, 0..1."""
    breaks: float = 0.0
    """1 if this candidate's answer would break the conversation (`budget/slis/coherence.py`), else 0."""
