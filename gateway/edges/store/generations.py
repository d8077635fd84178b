"""Which generation this replica's configuration is: what it tells the store, and what it learned from it.

The store numbers configurations in the order in which they appear (`lua/lead.lua`), so that of replicas with different
ones the newest governs. A process that starts asks for the number of what it found in its file; one whose file was edited asks for a new
number, until an answer has confirmed it: a lost reply does not make two edits of one.
"""

ALIVE_LEASES = 2.0
"""A replica that has not called `lead` for this many leases counts as gone: one lost tick is no farewell."""
CONFIGS_KEPT = 100


class Generations:
    """One replica's side."""

    def __init__(self) -> None:
        self._config: str | None = None
        self._known, self._is_edit = 0, False

    def asked(self, config_hash: str) -> tuple[int, bool]:
        """Return the generation that we know this configuration by (0: none), and whether it is an unconfirmed edit."""
        if self._config is not None and config_hash != self._config:
            self._known, self._is_edit = 0, True
        self._config = config_hash
        return self._known, self._is_edit

    def learned(self, generation: int) -> None:
        """Take the store's answer."""
        self._known, self._is_edit = generation, False
