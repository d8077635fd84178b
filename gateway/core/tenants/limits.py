"""Limits: what a tenant may still use; the only budget that refuses.

Theory: requests and tokens per minute are token buckets that hold one minute's worth and fill evenly, so over any T
seconds at most limit * (1 + T/60) is granted. Tokens and dollars are taken as estimates and settled with what was
used; a bucket may fall below zero by that and is refilled before anything else is granted. A request that alone is
larger than a full bucket is granted by a full one, and its tenant then waits for the debt. Dollars are counted per day
of UTC, since that is what a bill shows.

All three are looked at before anything is taken: a refusal uses nothing up. Retry-After is exact: when the bucket will
hold enough if nobody else takes from it, or midnight.

Not handled: the counts are this process's own. Several workers each grant the whole limit, and a restart grants anew,
until leases from the shared store are drawn. Bounded by the tenants of the configuration (`retain`) and `TENANTS_MAX`.
"""

from collections.abc import Iterable

from gateway.domain.catalog import Limits
from gateway.domain.decision import Shed
from gateway.domain.errors import Reason

MINUTE_S, DAY_S = 60.0, 86_400.0
TENANTS_MAX = 100_000
ROUNDING = 1e-9
"""Relative: a client that waits exactly Retry-After must not fail for the last bit of a float."""


class Bucket:
    """One token bucket: `level` of at most `limit`, as of `at_s`."""

    __slots__ = ("at_s", "level")

    def __init__(self, limit: int, now_s: float) -> None:
        self.level, self.at_s = float(limit), now_s

    def fill(self, limit: int, now_s: float) -> float:
        """Bring the level up to now and return it; a changed limit counts from now on."""
        self.level = min(self.level + max(now_s - self.at_s, 0.0) * limit / MINUTE_S, float(limit))
        self.at_s = max(now_s, self.at_s)
        return self.level


class Use:
    """What one tenant has used."""

    __slots__ = ("day", "requests", "tokens", "usd")

    def __init__(self) -> None:
        self.requests: Bucket | None = None
        self.tokens: Bucket | None = None
        self.usd, self.day = 0.0, -1


class LimitState:
    """Use by tenant name; survives a config swap."""

    def __init__(self) -> None:
        self._uses: dict[str, Use] = {}

    def take(self, tenant: str, limits: Limits, tokens: int, now_s: float, wall_s: float, usd: float = 0.0) -> Shed | None:
        """Take one request with its estimated tokens and dollars, or say which limit refuses it.

        Args:
            limits: the tenant's, as configured now.
            tokens: expected prompt and completion tokens.
            wall_s: Unix seconds, for the day of the dollar limit.
            usd: expected dollars; they count until `settle` corrects them.
        """
        if limits.rpm is None and limits.tpm is None and limits.usd_per_day is None:
            return None
        use = self._use(tenant)
        requests, filled = use.requests, use.tokens
        if limits.rpm is not None:
            requests = requests or Bucket(limits.rpm, now_s)
            if requests.fill(limits.rpm, now_s) < 1.0 - ROUNDING:
                return refusal(Reason.LIMIT_REQUESTS, tenant, f"{limits.rpm} requests per minute", until(requests, 1.0, limits.rpm))
        if limits.tpm is not None:
            filled = filled or Bucket(limits.tpm, now_s)
            needed = float(max(min(tokens, limits.tpm), 1))
            if filled.fill(limits.tpm, now_s) < needed * (1.0 - ROUNDING):
                return refusal(Reason.LIMIT_TOKENS, tenant, f"{limits.tpm} tokens per minute", until(filled, needed, limits.tpm))
        if limits.usd_per_day is not None:
            day = int(wall_s // DAY_S)
            if day > use.day:
                use.usd, use.day = 0.0, day
            if use.usd >= limits.usd_per_day or (use.usd > 0.0 and use.usd + usd > limits.usd_per_day):
                left_s = (use.day + 1) * DAY_S - wall_s
                return refusal(Reason.LIMIT_USD, tenant, f"{limits.usd_per_day:g} dollars per day (UTC)", left_s)
            use.usd += usd
        if limits.rpm is not None and requests is not None:
            requests.level -= 1.0
        if limits.tpm is not None and filled is not None:
            filled.level -= tokens
        use.requests, use.tokens = requests, filled
        return None

    def settle(self, tenant: str, tokens_delta: int, usd_delta: float) -> None:
        """Correct what `take` estimated by what was used: used minus taken, of either sign."""
        use = self._uses.get(tenant)
        if use is None:
            return
        if use.tokens is not None:
            use.tokens.level -= tokens_delta
        use.usd = max(use.usd + usd_delta, 0.0)

    def retain(self, tenants: Iterable[str]) -> None:
        """Forget tenants that the configuration does not name any more."""
        keep = set(tenants)
        self._uses = {name: use for name, use in self._uses.items() if name in keep}

    def _use(self, tenant: str) -> Use:
        use = self._uses.get(tenant)
        if use is None:
            use = self._uses[tenant] = Use()
            if len(self._uses) > TENANTS_MAX:
                del self._uses[next(iter(self._uses))]
        return use


def until(bucket: Bucket, needed: float, limit: int) -> float:
    """Return the seconds until a bucket holds `needed`; a limit of 0 never does, which is said as a day."""
    return (needed - bucket.level) * MINUTE_S / limit if limit > 0 else DAY_S


def refusal(reason: Reason, tenant: str, what: str, retry_after_s: float) -> Shed:
    """Say which limit refused."""
    return Shed(reason, f"tenant {tenant} has used up its limit of {what}", retry_after_s)
