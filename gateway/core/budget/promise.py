"""What the SLOs that apply to a route promise to each of its requests: what the dispatcher must look at, and against what.

Put together once per route and config version, so that a request pays only for what some SLO asks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import Slo


@dataclass(frozen=True, slots=True)
class Promise:
    """What requests of one route were promised."""

    first_tokens: tuple[Ttft, ...] = ()
    only_first_token_s: float | None = None
    """The limit when it does not depend on the prompt; None with bins, or without a ttft SLO."""
    is_binned: bool = False
    """Whether the first token's limit depends on the prompt's length."""
    paces: tuple[Itl, ...] = ()
    timelines: tuple[tuple[float, float], ...] = ()
    """Seconds to the first token and tokens per second of every expected timeline, without repeats."""
    keeps_conversations: bool = False
    """Whether later turns are to be answered by the model of the turns before."""
    looks_at_form: bool = False
    """Whether some SLO judges the form of an answer."""
    awaits_verdicts: bool = False
    """Whether verdicts on answers count, so that a request must be known again by its id."""

    def first_token_s(self, prompt_tokens: int) -> float | None:
        """Return the strictest limit of a prompt's first token, seconds; None when nothing was promised."""
        if not self.is_binned:
            return self.only_first_token_s
        return min([t.limit_s(prompt_tokens) for t in self.first_tokens])


def promise_of(slos: Sequence[Slo], route: str) -> Promise:
    """Return what the SLOs of the fleet and of a route promise."""
    slis = [s.sli for s in slos if s.spec.route in (None, route)]
    first_tokens = tuple([cast(Ttft, s) for s in slis if s.kind == "ttft"])
    is_binned = any(t.options.bins for t in first_tokens)
    limit_s = None if is_binned else min((t.options.at_most for t in first_tokens), default=None)
    paces = tuple([cast(Itl, s) for s in slis if s.kind == "itl"])
    sources = {cast(Quality, s).options.source for s in slis if s.kind == "quality"}
    is_coherent = any(s.kind == "coherence" for s in slis)
    return Promise(
        first_tokens,
        limit_s,
        is_binned,
        paces,
        timelines=tuple(dict.fromkeys(p.expected for p in paces)),
        keeps_conversations=is_coherent,
        looks_at_form=is_coherent or "validity" in sources,
        awaits_verdicts="verdicts" in sources,
    )
