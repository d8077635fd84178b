"""What the harness does to the gateway in the middle of a run: `--event NAME@AT` or `NAME@AT:FOR`, scenario seconds.

    kill-store@600              SIGKILL to the embedded store; the gateway starts it again
    stop-store@600:60           the store is frozen (SIGSTOP) for 60 s
    kill-store@600:10           killed again and again for 10 s
    restart-gateway@900:1200    SIGTERM to the gateway (its store ends with it), 1200 s later both start again
    kill-gateway@900:10         SIGKILL to the gateway, 10 s later it starts again
    reload@300                  a harmless edit of the configuration
    remove-router@600           the router's folder is deleted while it is in use

Whatever is sent while the gateway is stopped by us is counted apart (`not_running`).
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class EventKind(StrEnum):
    """What is done."""

    KILL_STORE = "kill-store"
    STOP_STORE = "stop-store"
    RESTART_GATEWAY = "restart-gateway"
    KILL_GATEWAY = "kill-gateway"
    RELOAD = "reload"
    REMOVE_ROUTER = "remove-router"


NEEDS_LENGTH = frozenset((EventKind.STOP_STORE, EventKind.RESTART_GATEWAY, EventKind.KILL_GATEWAY))
_SPELLING = re.compile(r"(?P<kind>[a-z-]+)@(?P<at>\d+(\.\d+)?)(:(?P<length>\d+(\.\d+)?))?\Z")


class EventError(ValueError):
    """An event that cannot be read; the message says how it is spelled."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that is done, in scenario seconds."""

    kind: EventKind
    at_s: float
    for_s: float = 0.0

    @classmethod
    def read(cls, text: str) -> "Event":
        """Read `NAME@AT` or `NAME@AT:FOR`. Raises: EventError."""
        found = _SPELLING.match(text)
        if found is None or found["kind"] not in list(EventKind):
            raise EventError(f"event {text!r} is not NAME@AT or NAME@AT:FOR with a name of {', '.join(EventKind)}")
        kind = EventKind(found["kind"])
        if kind in NEEDS_LENGTH and found["length"] is None:
            raise EventError(f"event {text!r} needs a length: {kind.value}@AT:FOR")
        return cls(kind, float(found["at"]), float(found["length"] or 0.0))

    def as_note(self) -> dict[str, object]:
        """For the result."""
        return {"kind": self.kind.value, "at_s": self.at_s, "for_s": self.for_s}


def store_pids(directory: Path) -> list[int]:
    """Return the processes of the embedded server of a state directory (not of its guard).

    Linux only: a Valkey server shows its socket in its title.
    """
    socket, found = str(directory / "store.sock").encode(), []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                title, program = (entry / "cmdline").read_bytes(), (entry / "exe").readlink().name
            except OSError:  # It ended meanwhile, or is not ours.
                continue
            if socket in title and program in ("valkey-server", "redis-server"):
                found.append(int(entry.name))
    return found
