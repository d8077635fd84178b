"""How many repeated attempts the whole gateway may make.

Theory: retries are what turns a slow backend into a dead one, so they are a budget of their own: every first attempt
pays in `share` of a token, every retry takes one; a few are there at the start so that a quiet gateway may retry at
all. A fallback from a refused, open or failed backend to another is not a retry and takes nothing. Source: Google SRE
Book, "Handling overload"; the same rule in Envoy's and Finagle's retry budgets.
"""

STOCK_MAX = 10.0
STOCK_START = 1.0


class RetryBudget:
    """A token bucket filled by attempts instead of time."""

    def __init__(self) -> None:
        self._stock = STOCK_START

    def attempted(self, share: float) -> None:
        """Count a first attempt; `share` is the extra load that retries may make."""
        self._stock = min(self._stock + share, STOCK_MAX)

    def take(self) -> bool:
        """Take one retry, if there is one."""
        if self._stock < 1.0:
            return False
        self._stock -= 1.0
        return True
