"""What goes wrong with a backend, when and how badly: one timeline for real backends and for simulated ones.

Over sockets a fault is switched on and off by POST and DELETE /sim/fault; on virtual time the same Fault is asked what it
would do to a request. Kinds whose effect needs a connection (a cut stream, silence) keep their meaning there too: a
simulation lets the clock of the client that waits for it run out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class FaultKind(StrEnum):
    """What a faulty backend does."""

    DOWN = "down"
    """Answers every request 503; what is in flight goes on."""
    REFUSE = "refuse"
    """Closes every connection without an answer, those with a stream in flight too: a killed process."""
    SLOW = "slow"
    """Every iteration of the engine takes `size` times as long."""
    ERRORS = "errors"
    """The share `size` (0..1) of requests is answered 500."""
    STALL = "stall"
    """Sends nothing after `size` tokens and keeps the connection open."""
    CUT = "cut"
    """Closes the connection after `size` tokens."""
    ERROR_FIRST_FRAME = "error_first_frame"
    """Answers 200, then an error object as first event of the stream; 500 to a call that is not streamed."""
    RATE_LIMIT = "rate_limit"
    """Answers every request 429 with `Retry-After: size` seconds."""
    SILENT = "silent"
    """Takes the request and never sends a header."""


SIZES = {FaultKind.SLOW: 4.0, FaultKind.ERRORS: 0.3, FaultKind.STALL: 10.0, FaultKind.CUT: 10.0, FaultKind.RATE_LIMIT: 1.0}
"""Sizes of faults that name none; of the other kinds the size says nothing."""
UNSIZED = -1.0


class FaultError(ValueError):
    """A fault that cannot be; the message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of one backend in the half-open interval from `at_s` for `for_s` seconds."""

    kind: FaultKind
    at_s: float = 0.0
    for_s: float = float("inf")
    target: str = ""
    """Name of the model or backend that it happens to."""
    size: float = UNSIZED
    """How bad it is, in the unit of its kind; left out, the kind's own of SIZES."""
    seed: int = 0
    """Of the draws of `errors`."""

    def __post_init__(self) -> None:
        try:  # a scenario spells the kind as text
            object.__setattr__(self, "kind", FaultKind(self.kind))
        except ValueError:
            raise FaultError(f"fault kind {str(self.kind)!r} is none of {', '.join(FaultKind)}") from None
        if self.size == UNSIZED:
            object.__setattr__(self, "size", SIZES.get(self.kind, 1.0))
        if self.size < 0 or (self.kind is FaultKind.SLOW and self.size == 0) or (self.kind is FaultKind.ERRORS and self.size > 1):
            raise FaultError(f"a fault of kind {self.kind} cannot have size {self.size:g}")
        if not self.for_s > 0:
            raise FaultError(f"a fault must last longer than {self.for_s:g} s")

    @classmethod
    def read(cls, body: Mapping[str, Any], at_s: float = 0.0, for_s: float = float("inf"), target: str = "") -> "Fault | None":
        """Read {"kind": ..., "size": ..., "seed": ...}; kind "none" gives None.

        Raises: FaultError for an unknown kind or an impossible size.
        """
        if (named := body.get("kind")) == "none":
            return None
        try:
            return cls(FaultKind(str(named)), at_s, for_s, target, float(body.get("size", UNSIZED)), int(body.get("seed", 0)))
        except FaultError:
            raise
        except (ValueError, TypeError) as exc:
            raise FaultError(f"a fault needs a kind of {', '.join(k.value for k in FaultKind)} and numbers, not {dict(body)}") from exc

    def body(self) -> dict[str, Any]:
        """What to POST to /sim/fault."""
        return {"kind": self.kind.value, "size": self.size, "seed": self.seed}

    def active(self, now_s: float) -> bool:
        """Whether it is on at that time."""
        return self.at_s <= now_s < self.at_s + self.for_s

    @property
    def slow(self) -> float:
        """Factor on the engine's iterations."""
        return self.size if self.kind is FaultKind.SLOW else 1.0

    @property
    def kills_in_flight(self) -> bool:
        """Whether what the backend is working on is lost when the fault begins."""
        return self.kind is FaultKind.REFUSE

    @property
    def tokens_max(self) -> int | None:
        """Tokens of an answer that still come through; None: all."""
        return int(self.size) if self.kind in (FaultKind.STALL, FaultKind.CUT) else None

    def status(self, u: float) -> int | None:
        """Return the HTTP status of the error that a request is answered with, None when it is none.

        Args: u: a uniform draw in [0, 1), used by `errors` only.
        """
        match self.kind:
            case FaultKind.DOWN:
                return 503
            case FaultKind.RATE_LIMIT:
                return 429
            case FaultKind.ERRORS if u < self.size:
                return 500
        return None


@dataclass(frozen=True, slots=True)
class Switch:
    """A moment at which the fault of a target changes; None: it is repaired."""

    at_s: float
    target: str
    fault: Fault | None


def active(faults: Iterable[Fault], target: str, now_s: float) -> Fault | None:
    """Return the fault in force; of several the one that began last, and of those the last in the list."""
    on = [fault for fault in faults if fault.target == target and fault.active(now_s)]
    return max(enumerate(on), key=lambda pair: (pair[1].at_s, pair[0]))[1] if on else None


def switches(faults: Iterable[Fault]) -> list[Switch]:
    """Return every change in order of time: what a run over sockets has to switch."""
    faults = list(faults)
    edges = {(fault.at_s, fault.target) for fault in faults} | {(fault.at_s + fault.for_s, fault.target) for fault in faults}
    changes, last = list[Switch](), dict[str, Fault | None]()
    for at_s, target in sorted(edge for edge in edges if edge[0] != float("inf")):
        now = active(faults, target, at_s)
        if now is not last.get(target):
            changes.append(Switch(at_s, target, now))
        last[target] = now
    return changes
