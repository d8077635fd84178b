"""Hard limits in the words of those who share them: what is limited, what a holder asks for, what it is told.

Amounts are whole units, so that sums over replicas are exact: requests, tokens, nanodollars.
"""

from dataclasses import dataclass
from enum import Enum

from gateway.domain.value import Value


class LimitKind(Enum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    USD = "usd"


@dataclass(frozen=True, slots=True)
class Limit:
    """One hard limit: of a tenant, of one of its keys, or of its use of one model."""

    tenant: str
    name: str
    """Unique among the tenant's limits; begins with the scope, for example `model:strong/requests`."""
    kind: LimitKind
    amount: int
    """Units that a full bucket or a day holds; nanodollars for `USD`."""
    per_s: float
    """Units that run in each second; 0: none do, and all come back at midnight UTC."""
    said: str
    """The limit in a client's words, for example `600 requests per minute`."""
    model: str | None = None
    """The model that it is about; None: any."""


class Ask(Value, frozen=True):
    """What one holder tells and asks the store about one limit.

    Totals instead of changes: whatever was lost, came twice or was rolled back on the way is put right by the next call.
    """

    limit: Limit
    seq: int
    """Number of this call; a call that arrives after a later one changes nothing."""
    heard: int
    """Units granted to this holder in all, as far as it knows, less those that it gave back."""
    used: int
    """Units that it used in all, with every correction."""
    carried: int
    """What a store that lost this limit is to count as used or held by this holder."""
    born: str
    """Which life of the limit in the store these totals are about; empty before the first answer."""
    need: int
    """Units that requests wait for now; granted before anything else."""
    least: int
    """Largest single one of them: where the whole is not to be had, multiples of this are."""
    want: int
    """Units beyond them, to have at hand."""
    floor: int
    """Units per holder below which none are kept at hand: the limit is one shared counter then."""
    lease: int = 0
    """Which of this process's leases asks: a limit that was taken away and came back is another holder, with totals of its own."""
    is_leaving: bool = False
    """This holder asks no more."""


class Granted(Value, frozen=True):
    """What the store says about one limit."""

    granted: int
    """Units granted to this holder in all, `Ask.heard` included."""
    held: int
    """How many of them the store takes to be at hand: not used, and not waited for by a request."""
    level: float
    """Units left for everybody; below zero where more was used than was granted."""
    holders: int
    """Replicas that asked lately, this one included."""
    born: str
