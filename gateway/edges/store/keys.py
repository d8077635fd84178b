"""The only place that builds Redis keys.

`sluice:<schema>:{<group>}:<what>`: the schema's version is in the prefix, so that a build with another layout never
reads our keys as its own; the braces are Redis Cluster's hash tag, so that all keys of a group, and with them all keys
of any one script, lie on one hash slot (`test_keys.py` computes the slots). The one key without a version says which
version writes here: an older build is refused by it, a newer one sees what it leaves unread.
"""

from dataclasses import dataclass

SCHEMA = 1
"""Version of the key layout; raise it when the meaning of a stored value changes."""

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Width:
    """One ring of slots."""

    seconds: int
    kept_s: int
    """How long a slot lives after its last change, in the server's seconds; the readers need a little less."""


WIDTHS = (Width(10, 20 * 60), Width(300, 8 * 3600), Width(3600, 34 * DAY_S))
"""Finest first. 20 min, 8 h and 34 days hold the 15 min, 6 h and 745 h that the budgets look back, with room."""

SEQUENCE_KEPT_S = 34 * DAY_S
"""Longer than any outage that a replica sits out with one batch in doubt: a forgotten sequence would count it twice."""


class GroupKeys:
    """Keys of one group of counters; everything that one flush touches is here."""

    def __init__(self, group: str) -> None:
        self._prefix = f"sluice:{SCHEMA}:{{{group}}}"
        self.touched = tuple(f"{self._prefix}:touched:{w.seconds}" for w in WIDTHS)
        """Sorted set per width: slot number -> server time of its last change."""
        self.schema = f"sluice:{{{group}}}:schema"
        """Hash: `version` that writes here now, and the one `before` it, if any."""

    def sequence(self, replica: str) -> str:
        """String: the last batch of a replica that was applied."""
        return f"{self._prefix}:seq:{replica}"

    def slot(self, width_s: int, number: int) -> str:
        """Hash: field -> integer total of one slot."""
        return f"{self._prefix}:slot:{width_s}:{number}"


class ControlKeys:
    """Keys of the one writer and of the operators; one group, since publishing checks and writes in one script."""

    _PREFIX = f"sluice:{SCHEMA}:{{control}}"
    lease = f"{_PREFIX}:lease"
    """String with a time to live: the replica that governs."""
    fence = f"{_PREFIX}:fence"
    """Integer: the last fencing token handed out."""
    alive = f"{_PREFIX}:alive"
    """Sorted set: replica -> server time, in milliseconds, from which on its silence means that it is gone."""
    generations = f"{_PREFIX}:generations"
    """Sorted set: live replica -> generation of its configuration."""
    configs = f"{_PREFIX}:configs"
    """Sorted set: digest of a configuration -> its generation, newest highest."""
    published = f"{_PREFIX}:published"
    """Hash: token and writer of the last publication, and its prices, memory and board as JSON."""
    overrides = f"{_PREFIX}:overrides"
    """Hash: `pin:<route>` or `freeze` -> JSON."""
    secret = f"{_PREFIX}:secret"
    """String: what request ids are sealed with, and conversations' draws keyed; shared by all replicas."""
    audit = f"{_PREFIX}:audit"
    """List, newest first: every override with who and when, as JSON."""


class LimitKeys:
    """Keys of one tenant's hard limits; one group, since one call settles and grants all that a request needs."""

    def __init__(self, tenant: str) -> None:
        self._prefix = f"sluice:{SCHEMA}:{{limits:{tenant}}}"

    def of(self, name: str) -> tuple[str, str]:
        """Hash of a limit's state, and sorted set: holder -> until when its lease lasts, microseconds."""
        return f"{self._prefix}:{name}", f"{self._prefix}:{name}:holders"


class FeedbackKeys:
    """Keys of the verdicts; a day is its own key, so that a day expires as a whole."""

    @staticmethod
    def day(number: int) -> str:
        """Hash: request id and tenant -> JSON of tenant and verdict; `number` counts days since 1970."""
        return f"sluice:{SCHEMA}:{{feedback}}:{number}"


class CheckKeys:
    """Keys that `sluice store check` writes, uses and deletes; of one try, so that two checks do not meet."""

    @staticmethod
    def of(nonce: str) -> tuple[str, ...]:
        """String, hash, sorted set and list."""
        return tuple(f"sluice:{SCHEMA}:{{check}}:{nonce}:{kind}" for kind in ("string", "hash", "zset", "list"))
