"""What a service level indicator must answer."""

from typing import Any, ClassVar, Protocol

from gateway.domain.event import Outcome
from gateway.domain.expectation import Expectation

Wrong = tuple[tuple[str | int, ...], str]
"""Path below the SLI's own keys, and what is wrong there: what `Options.wrong()`, where a kind has it, yields to the config edge."""


class Sli(Protocol):
    """One kind of indicator: judges what happened, and says what a candidate model risks.

    A kind is one file in `slis/` with its theory at the head, an `Options` dataclass, a test and an example YAML.
    """

    kind: ClassVar[str]
    unit: ClassVar[str]
    """Unit of its price, for people."""

    def __init__(self, options: Any) -> None: ...

    def judge(self, outcome: Outcome) -> bool | None:
        """Return True for a good event, False for a bad one, None when the request is not a valid event of this kind."""
        ...

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """Return r_{d,m}: expected bad events (cost: dollars) if this candidate answers."""
        ...
