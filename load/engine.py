"""An LLM serving engine on virtual time: a FIFO line, a continuous batch with chunked prefill, and KV memory.

The model. Work is done in iterations. In one of them every decoding request gets one token and the prompts that are
not read yet get up to `chunk_tokens` tokens between them, oldest first; it lasts

    (d0, or `prefill_only_s` when nothing decodes) + d1 * decoding requests + prefill_s_per_token * prompt tokens read

times the slow-down in force. A request enters the batch between iterations, in order of arrival, when a sequence is
free and KV memory for its whole prompt and answer is; one request always may. The iteration that reads the last of a
prompt brings the first token.

Iterations that are alike are one `stretch`: `count` of them from `start`, the i-th ending at start + i * each. Nothing
is stored per token, so a stretch costs the same for 1 iteration and for 1,000. A stretch ends when its composition
changes by itself (a prompt is read, an answer is complete) and is cut short at the next boundary when it changes from
outside (an arrival that can enter, a cancellation, a slow-down). What begins at the very instant of an arrival includes
it. `tests/unit/load/test_engine.py` shows equality, in fractions, with an engine that takes one iteration at a time.

Not modelled: preemption, several answers that share one prompt's memory, the network. Times are numbers of any ordered
field (float in use); the clock belongs to the caller.

Source of the equations and of the two measured presets: reference engine of this project's design notes, fitted to the
Llama-2-70B, tensor-parallel-8 rows of splitwise-sim's performance table (Patel et al., Splitwise, ISCA 2024).
"""

import heapq
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import count, takewhile
from typing import Generic, TypeVar

BLOCK_TOKENS = 512
"""Tokens of one block of the prefix cache; the size at which public prefix traces are hashed."""


@dataclass(frozen=True, slots=True)
class EngineModel:
    """How fast an engine is and how much it holds; seconds per iteration, tokens."""

    d0_s: float
    """Length of an iteration in which something decodes, before what follows is added."""
    d1_s: float
    """Added for each decoding request."""
    prefill_s_per_token: float
    """Added for each prompt token read."""
    chunk_tokens: int = 2048
    """Most prompt tokens read in one iteration."""
    max_sequences: int = 128
    """Most requests in the batch."""
    kv_tokens: int = 1_370_000
    """Tokens of prompts and answers, the latter reserved in full, that fit in KV memory."""
    prefill_only_s: float = 0.015
    """Instead of `d0_s` when nothing decodes."""
    entry_s: float = 0.0
    """Time before a request reaches the line: a provider's own front door. Not slowed down with the engine."""
    cache_blocks: int = 0
    """Blocks of the prefix cache, least recently used out first; 0: none."""

    def __post_init__(self) -> None:
        if not (self.d0_s > 0 and self.prefill_only_s > 0 and self.chunk_tokens > 0 and self.max_sequences > 0):
            raise ValueError(f"an iteration must take time and hold work: {self}")
        if min(self.d1_s, self.prefill_s_per_token, self.entry_s, self.cache_blocks) < 0:
            raise ValueError(f"a time or a size below 0: {self}")


H100 = EngineModel(d0_s=0.028, d1_s=0.00033, prefill_s_per_token=0.000085)
A100 = EngineModel(d0_s=0.043, d1_s=0.00043, prefill_s_per_token=0.00019)
SMALL = EngineModel(d0_s=0.010, d1_s=0.0001, prefill_s_per_token=0.00002)
"""An 8B model on one H100-class card: first token of 256 prompt tokens in tens of ms, 10-15 ms a token, the range that
llm-d-inference-sim gives for such an engine; not fitted to a measurement of ours."""
HOSTED = EngineModel(
    d0_s=0.014, d1_s=0.0, prefill_s_per_token=0.000002, chunk_tokens=10**6, max_sequences=10**6, kv_tokens=10**12, entry_s=0.35
)
"""A public API: nobody else's load is felt. TTFT about 0.4 s, 70 tokens/s; plausible figures, not measured."""
PRESETS = {"h100": H100, "a100": A100, "small": SMALL, "hosted": HOSTED}


class _Phase(Enum):
    NEW, ENTERING, WAITING, READING, DECODING, GONE = range(6)


class Job:
    """One request inside an engine. Callers that want to remember more subclass it; the engine compares by identity.

    `prompt_tokens` >= 1, `output_tokens` >= 1, 0 <= `cached_tokens` < prompt_tokens need no reading. With `blocks` (ids of
    the prompt's leading blocks of BLOCK_TOKENS) the engine's prefix cache sets `cached_tokens` when the job is admitted.
    The times are None until they happen.
    """

    __slots__ = (
        "_left", "_phase", "_ready_s", "_started_at", "_told", "admitted_s", "arrived_s", "blocks", "cached_tokens", "done_s",
        "first_s", "output_tokens", "prompt_tokens",
    )  # fmt: skip

    def __init__(self, prompt_tokens: int, output_tokens: int, cached_tokens: int = 0, blocks: Sequence[object] = ()) -> None:
        self.prompt_tokens, self.output_tokens = max(1, prompt_tokens), max(1, output_tokens)
        self.cached_tokens, self.blocks = min(cached_tokens, self.prompt_tokens - 1), blocks
        self._phase = _Phase.NEW
        self.arrived_s: float | None = None
        self.admitted_s: float | None = None
        self.first_s: float | None = None
        self.done_s: float | None = None
        self._ready_s = 0.0
        self._left = self.prompt_tokens - self.cached_tokens  # prompt tokens still to be read
        self._started_at = 0  # the engine's iteration that brought the first token
        self._told = 0  # tokens that events have reported

    @property
    def is_over(self) -> bool:
        """Whether it is finished or was cancelled."""
        return self._phase is _Phase.GONE


J = TypeVar("J", bound=Job)


class EventKind(Enum):
    """What happened to a job."""

    FIRST_TOKEN = "first_token"  # noqa: S105
    TOKENS = "tokens"
    FINISHED = "finished"


@dataclass(frozen=True, slots=True)
class EngineEvent(Generic[J]):
    """One thing that happened to a job; over a job's events `tokens` add up to its output tokens."""

    kind: EventKind
    job: J
    at_s: float
    tokens: int
    """New tokens since the job's last event. FINISHED brings what was not told yet, perhaps 0."""


class Engine(Generic[J]):
    """One engine. Every method takes the time, which must not go back; events come out of `advance` in order of time.

    With `emit_tokens`, `advance` also tells the tokens in between, one event per job and call. Without, only first
    tokens and ends are told and `next_event_s` jumps from one change of the batch to the next.
    """

    def __init__(self, model: EngineModel, emit_tokens: bool = False) -> None:
        self.model, self.emit_tokens, self.slow = model, emit_tokens, 1.0
        self.kv_used = self.pending_prompt_tokens = self.hit_tokens = self.seen_tokens = 0
        self._cache: OrderedDict[object, None] = OrderedDict()
        self._serial = count()
        self._iterations = 0  # of decoding, ever; a job's progress is the difference to where it started
        self._events: list[EngineEvent[J]] = []
        self._empty()

    def _empty(self) -> None:
        self._entering: deque[J] = deque()
        self._waiting: deque[J] = deque()
        self._reading: deque[J] = deque()
        self._decoding: dict[J, None] = {}
        self._ends: list[tuple[int, int, J]] = []  # heap of (iteration that brings the last token, serial, job)
        self._has_stretch = False
        self._start_s = self._each_s = 0.0
        self._count = self._done = self._told_until = 0
        self._work: tuple[tuple[J, int], ...] = ()  # prompt tokens read per iteration of the stretch

    @property
    def running(self) -> int:
        """Requests in the batch."""
        return len(self._reading) + len(self._decoding)

    @property
    def waiting(self) -> int:
        """Requests that have not entered the batch."""
        return len(self._entering) + len(self._waiting)

    @property
    def kv_usage(self) -> float:
        """Reserved part of the KV memory, 0..1."""
        return min(1.0, self.kv_used / self.model.kv_tokens)

    def submit(self, job: J, now_s: float) -> None:
        """Take a new job; each job once."""
        if job._phase is not _Phase.NEW:
            raise ValueError("a job can be submitted only once")
        self._run(now_s)
        job.arrived_s = now_s
        self.pending_prompt_tokens += job._left
        if self.model.entry_s:
            job._phase, job._ready_s = _Phase.ENTERING, now_s + self.model.entry_s
            self._entering.append(job)
        else:
            self._join(job, now_s)

    def cancel(self, job: J, now_s: float) -> bool:
        """Forget a job: its memory and place are free at once, the iteration under way ends as it was launched.

        Returns: False when there was nothing to cancel any more. Events not yet told of the job are dropped.
        """
        self._run(now_s)
        self._events = [event for event in self._events if event.job is not job]
        match job._phase:
            case _Phase.ENTERING:
                self._entering.remove(job)
            case _Phase.WAITING:
                self._waiting.remove(job)
            case _Phase.READING:
                self._reading.remove(job)
            case _Phase.DECODING:
                del self._decoding[job]
            case _:
                return False
        if job._phase in (_Phase.READING, _Phase.DECODING):
            self.kv_used -= job.prompt_tokens + job.output_tokens
        self.pending_prompt_tokens -= job._left
        is_entering, job._phase = job._phase is _Phase.ENTERING, _Phase.GONE
        if not is_entering:
            self._cut(now_s)
        return True

    def abort_all(self, now_s: float) -> list[J]:
        """Crash: forget every job and the iteration under way; return the jobs."""
        self._run(now_s)
        jobs = [*self._decoding, *self._reading, *self._waiting, *self._entering]
        for job in jobs:
            job._phase = _Phase.GONE
        gone = set(jobs)
        self._events = [event for event in self._events if event.job not in gone]
        self.kv_used = self.pending_prompt_tokens = 0
        self._cache.clear()
        self._empty()
        return jobs

    def slow_down(self, factor: float, now_s: float) -> None:
        """Multiply the length of iterations by `factor` > 0, from the next one on; 1 is the engine's own speed."""
        if not factor > 0:
            raise ValueError(f"an engine cannot run at {factor} times the time")
        self._run(now_s)
        self.slow = factor
        if self._has_stretch:
            self._cut(now_s)

    def next_event_s(self) -> float | None:
        """Return when `advance` is worth calling next; None while there is nothing to do. Not every call brings events."""
        if self._events:
            return self._events[0].at_s
        times = [self._entering[0]._ready_s] if self._entering else []
        if self._has_stretch:
            times.append(self._start_s + (self._done + 1 if self.emit_tokens else self._count) * self._each_s)
        return min(times, default=None)

    def advance(self, now_s: float) -> list[EngineEvent[J]]:
        """Let time pass until `now_s`, included; return what happened since the last call, oldest first."""
        self._run(now_s)
        if self.emit_tokens and self._iterations > self._told_until:
            self._tell()
        events, self._events = self._events, []
        return events

    def _run(self, now_s: float) -> None:
        """Play arrivals at the line and ends of stretches in order of time, then account the part of a stretch gone by."""
        while True:
            end_s = self._start_s + self._count * self._each_s
            if self._entering and (ready_s := self._entering[0]._ready_s) <= now_s and not (self._has_stretch and end_s < ready_s):
                self._join(self._entering.popleft(), ready_s)
            elif self._has_stretch and end_s <= now_s:
                self._settle(self._count)
                self._turn(end_s)
            else:
                break
        if self._has_stretch:
            self._settle(self._iterations_by(now_s))

    def _join(self, job: J, now_s: float) -> None:
        job._phase = _Phase.WAITING
        self._waiting.append(job)
        if len(self._waiting) == 1 and self._fits(job):
            self._cut(now_s)

    def _fits(self, job: J) -> bool:
        if self.running == 0:
            return True
        return self.running < self.model.max_sequences and self.kv_used + job.prompt_tokens + job.output_tokens <= self.model.kv_tokens

    def _iterations_by(self, now_s: float) -> int:
        """Return how many iterations of the stretch have ended by then; the i-th has when start + i * each <= now."""
        if now_s >= self._start_s + self._count * self._each_s:
            return self._count
        done = max(0, int((now_s - self._start_s) / self._each_s))
        while self._start_s + (done + 1) * self._each_s <= now_s:  # the quotient may round to the wrong side
            done += 1
        while done and self._start_s + done * self._each_s > now_s:
            done -= 1
        return done

    def _settle(self, done: int) -> None:
        """Account the stretch up to its `done`-th iteration."""
        new = done - self._done
        if new <= 0:
            return
        self._done = done
        if self._decoding:
            self._iterations += new
        for job, tokens in self._work:
            if job._phase is _Phase.READING:
                job._left -= tokens * new
                self.pending_prompt_tokens -= tokens * new

    def _cut(self, now_s: float) -> None:
        """Let the stretch end where the iteration under way does: its composition is about to change."""
        if not self._has_stretch:
            self._turn(now_s)
            return
        self._settle(self._iterations_by(now_s))
        if self._start_s + self._done * self._each_s == now_s:
            self._count = self._done
            self._turn(now_s)
        else:
            self._count = min(self._count, self._done + 1)

    def _turn(self, now_s: float) -> None:
        """Between two stretches: prompts that are read, answers that are complete, who enters, what comes next."""
        for job, _ in self._work if self._has_stretch else ():
            if job._phase is _Phase.READING and job._left == 0:
                self._reading.remove(job)
                self._start_decoding(job, now_s)
        while self._ends and (self._ends[0][0] <= self._iterations or self._ends[0][2]._phase is _Phase.GONE):
            job = heapq.heappop(self._ends)[2]
            if job._phase is _Phase.DECODING:
                self._finish(job, now_s)
        while self._waiting and self._fits(self._waiting[0]):
            self._admit(self._waiting.popleft(), now_s)
        self._plan(now_s)

    def _start_decoding(self, job: J, now_s: float) -> None:
        job._phase, job.first_s, job._started_at, job._told = _Phase.DECODING, now_s, self._iterations, 1
        self._decoding[job] = None
        self._events.append(EngineEvent(EventKind.FIRST_TOKEN, job, now_s, 1))
        heapq.heappush(self._ends, (self._iterations + job.output_tokens - 1, next(self._serial), job))

    def _finish(self, job: J, now_s: float) -> None:
        del self._decoding[job]
        job._phase, job.done_s = _Phase.GONE, now_s
        self.kv_used -= job.prompt_tokens + job.output_tokens
        self._events.append(EngineEvent(EventKind.FINISHED, job, now_s, job.output_tokens - job._told))
        job._told = job.output_tokens

    def _admit(self, job: J, now_s: float) -> None:
        job._phase, job.admitted_s = _Phase.READING, now_s
        if self.model.cache_blocks and job.blocks:
            self.pending_prompt_tokens -= job._left
            matched = sum(1 for _ in takewhile(self._cache.__contains__, job.blocks))
            job.cached_tokens = min(matched * BLOCK_TOKENS, job.prompt_tokens - 1)
            job._left = job.prompt_tokens - job.cached_tokens
            self.pending_prompt_tokens += job._left
            for block in job.blocks:
                self._cache[block] = None
                self._cache.move_to_end(block)
            while len(self._cache) > self.model.cache_blocks:
                self._cache.popitem(last=False)
        self.hit_tokens += job.cached_tokens
        self.seen_tokens += job.prompt_tokens
        self.kv_used += job.prompt_tokens + job.output_tokens
        self._reading.append(job)

    def _plan(self, now_s: float) -> None:
        """Lay out the next stretch: as many iterations as will be alike if nothing comes from outside."""
        decoding, model = len(self._decoding), self.model
        self._has_stretch = decoding > 0 or len(self._reading) > 0
        self._work, self._done, self._start_s = (), 0, now_s
        if not self._has_stretch:
            return
        tokens, counts = 0, []
        if self._reading:
            head = self._reading[0]
            if whole := head._left // model.chunk_tokens:  # chunks that the oldest prompt fills alone
                tokens, self._work = model.chunk_tokens, ((head, model.chunk_tokens),)
            else:
                whole, work = 1, []
                for job in self._reading:
                    if tokens == model.chunk_tokens:
                        break
                    work.append((job, min(model.chunk_tokens - tokens, job._left)))
                    tokens += work[-1][1]
                self._work = tuple(work)
            counts.append(whole)
        if self._ends:
            counts.append(self._ends[0][0] - self._iterations)
        self._count = min(counts)
        base_s = model.d0_s if decoding else model.prefill_only_s
        self._each_s = (base_s + model.d1_s * decoding + model.prefill_s_per_token * tokens) * self.slow

    def _tell(self) -> None:
        """Report the tokens of decoding jobs that no event has told."""
        at_s, self._told_until = self._start_s + self._done * self._each_s, self._iterations
        for job in self._decoding:
            made = self._iterations - job._started_at + 1
            if made > job._told:
                self._events.append(EngineEvent(EventKind.TOKENS, job, at_s, made - job._told))
                job._told = made
