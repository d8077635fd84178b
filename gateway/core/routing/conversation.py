"""Conversations: which model answered the turns before, and how often it was switched.

Theory: a conversation is known by its keyed draw (`server/chat`: tenant, user and first messages, digested with a secret), so that
nothing of its text is kept. The first turn begins it anew; a later one of a conversation that is not remembered is taken as its
beginning. Bounded: beyond `CONVERSATIONS_MAX` the one that has been silent longest goes. One process's memory: with several
replicas a conversation is known to those that answered it.
"""

from gateway.domain.value import Value

CONVERSATIONS_MAX = 50_000
"""About 10 MB."""


class Kept(Value, frozen=True):
    """What is remembered of one conversation."""

    model: str
    """The model of its last answer."""
    switches: int
    """How often another model answered than the turn before."""


class Conversations:
    """The last answers of conversations; survives a config swap."""

    def __init__(self, conversations_max: int = CONVERSATIONS_MAX) -> None:
        self._max = conversations_max
        self._known: dict[float, Kept] = {}

    def look(self, key: float, turns: int) -> Kept | None:
        """Return what is known before this turn; None for a first turn, or a conversation that is not remembered."""
        return self._known.get(key) if turns > 1 else None

    def answered(self, key: float, turns: int, model: str) -> int | None:
        """Take in an answer.

        Returns: 0 when the conversation kept its model, k when this was its k-th switch, None when it began (as far as we know).
        """
        known = self.look(key, turns)
        self._known.pop(key, None)
        if known is None:
            nth, kept = None, Kept(model, 0)
        elif known.model == model:
            nth, kept = 0, known
        else:
            nth = known.switches + 1
            kept = Kept(model, nth)
        self._known[key] = kept
        if len(self._known) > self._max:
            del self._known[next(iter(self._known))]
        return nth
