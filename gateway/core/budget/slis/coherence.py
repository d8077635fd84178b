"""Coherence: was the conversation carried on as it was begun?

Theory: a model that takes over in the middle writes in another style, may know less, and contradicts what was said; once is
tolerable (a fallback, a better answer to a hard turn), to and fro is not. And an answer or a prompt that was cut without a word breaks
a conversation, too. The event is a later turn of a conversation that is remembered (`routing/conversation.py`). Bad is

- a turn that switches the model for the second time or more;
- an answer that ended at the context's end although the client set no limit (`finish_reason: length`). Prompts are never
  truncated here: what does not fit is not sent (`routing/fit.py`).

The risk of a candidate is 1 when its answer would be such a second switch, else 0. A client that names its model chooses for itself.
Shown by `tests/unit/.../slis/test_coherence.py` and by `test_dispatcher.py`.
"""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.errors import SERVED
from gateway.domain.event import CUT, Outcome
from gateway.domain.expectation import Expectation

SWITCHES_MAX = 1
"""Switches of one conversation that are no harm. Assumed, not measured."""


class Coherence:
    """Good: a later turn by the same model, or the first change of it."""

    kind: ClassVar[str] = "coherence"
    unit: ClassVar[str] = "mean request values per broken conversation"

    @dataclass(frozen=True, slots=True)
    class Options:
        """Coherence has nothing to choose."""

    def __init__(self, options: Options) -> None:
        self.options = options

    def judge(self, outcome: Outcome) -> bool | None:
        """Return whether a later turn carried its conversation on; None for a first one, and for what was not answered."""
        if outcome.switch is None or outcome.reason is not SERVED:
            return None
        return outcome.switch <= SWITCHES_MAX and outcome.form is not CUT

    @staticmethod
    def risk(expectation: Expectation) -> float:
        """1 if this candidate's answer would break the conversation, else 0."""
        return expectation.breaks
