"""Cost: dollars of one call, expected and billed.

Expected dollars are at list prices, without a cache: what caches save is in the factor of billed over expected that the
governor learns per model. Billed dollars come from the reported usage, cached tokens at their own price; reasoning tokens are inside of
the completion's, and cost the same. Whoever reports no usage is billed by an estimate, which is marked wherever dollars are shown.
"""

from gateway.domain.catalog import Tariff
from gateway.domain.event import Outcome


def billed_usd(tariff: Tariff, outcome: Outcome) -> float:
    """Return what a call cost; a caller that knows the bill is believed, cached tokens never exceed the prompt's."""
    if outcome.billed_usd is not None:
        return outcome.billed_usd
    cached = min(outcome.cached_tokens, outcome.prompt_tokens)
    return tariff.usd(outcome.prompt_tokens, outcome.completion_tokens, cached)
