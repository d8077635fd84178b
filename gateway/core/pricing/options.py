"""What an operator says about pricing: which law, which budget comes first, how often it is judged."""

from dataclasses import dataclass

from gateway.domain.units import Seconds


@dataclass(frozen=True, slots=True)
class PricingOptions:
    """Section `pricing`, read: the law's own options are already built."""

    law: str
    """Kind of the law, a key of `laws/registry.py`."""
    law_options: object
    """The law's own `Options`."""
    priority: tuple[str, ...]
    """Every SLO's name, most important first: a lower one's price may not rise while a higher one burns and the two disagree."""
    tick: Seconds = 5.0
    """How often budgets are judged and priced."""
