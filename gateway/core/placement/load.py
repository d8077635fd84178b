"""Load: what this process has sent to one backend and not yet seen answered.

Theory: work in an engine is un-prefilled prompt tokens, not requests, and only the sender knows it in time: routing on
scraped metrics alone is worse than round-robin, even when they are scraped five times a second. So each attempt is
entered when it is sent; its prompt tokens leave the pending account at the first token, the only sign of a finished
prefill that a gateway gets.

An answer that is not streamed gives no such sign until its end. Its tokens leave when the prefill should be over by
prediction (`presumed_s`): kept until the end they would make a few long answers look like a full queue.

Scraped metrics are a correction for *other* clients of the same engine: what it reports beyond our own, in requests,
is charged at our own mean prompt length. It only ever adds and is forgotten after `SCRAPE_S`.
Source: reference/serving_systems.md sections 0 and 3.2.
"""

from heapq import heappop, heappush

SCRAPE_S = 5.0
"""Age at which scraped metrics no longer count."""
PROMPT_TOKENS_START, PROMPT_SAMPLES = 500.0, 50.0


class Entry:
    """One attempt in a `Load`."""

    __slots__ = ("is_over", "is_pending", "prompt_tokens")

    def __init__(self, prompt_tokens: int) -> None:
        self.prompt_tokens, self.is_pending, self.is_over = prompt_tokens, True, False


class Load:
    """One backend's accounts; neither can be negative, since each entry is taken out once however often it is ended."""

    __slots__ = ("_mean_tokens", "_order", "_others", "_others_waiting", "_pending", "_presumed", "_scraped_s", "in_flight", "waiting")

    def __init__(self) -> None:
        self.in_flight = 0
        """Attempts sent and not ended."""
        self.waiting = 0
        """Those of them still before their first token, as far as is known."""
        self._pending = 0
        self._presumed: list[tuple[float, int, Entry]] = []
        self._order = 0
        self._mean_tokens = PROMPT_TOKENS_START
        self._others_waiting, self._others, self._scraped_s = 0.0, 0.0, float("-inf")

    def sent(self, entry: Entry, presumed_s: float | None = None) -> None:
        """Enter one attempt; `presumed_s`: when to take its prefill for done without having seen it, None: never."""
        prompt_tokens = entry.prompt_tokens
        self.in_flight += 1
        self.waiting += 1
        self._pending += prompt_tokens
        self._mean_tokens += (prompt_tokens - self._mean_tokens) / PROMPT_SAMPLES
        if presumed_s is not None:
            self._order += 1
            heappush(self._presumed, (presumed_s, self._order, entry))

    def first_token(self, entry: Entry) -> None:
        """Take an attempt's prompt tokens out of the pending account."""
        if entry.is_pending:
            entry.is_pending = False
            self.waiting -= 1
            self._pending -= entry.prompt_tokens

    def ended(self, entry: Entry) -> None:
        """Take an attempt out altogether."""
        if not entry.is_over:
            entry.is_over = True
            self.first_token(entry)
            self.in_flight -= 1

    def own_pending(self, now_s: float) -> int:
        """Un-prefilled prompt tokens that this process sent."""
        presumed = self._presumed
        while presumed and (presumed[0][0] <= now_s or presumed[0][2].is_over):
            self.first_token(heappop(presumed)[2])
        return self._pending

    def pending_tokens(self, now_s: float) -> float:
        """Un-prefilled prompt tokens in the engine, other clients' included as far as scraped metrics tell."""
        own = self.own_pending(now_s) if self._presumed else self._pending
        if self._others_waiting and now_s - self._scraped_s <= SCRAPE_S:
            return own + self._others_waiting * self._mean_tokens
        return own

    def requests(self, now_s: float) -> float:
        """Requests in the engine, other clients' included as far as scraped metrics tell."""
        return self.in_flight + (self._others if now_s - self._scraped_s <= SCRAPE_S else 0.0)

    def scraped(self, waiting: float, running: float, now_s: float) -> None:
        """Take in the engine's own counts of waiting and running requests."""
        self.own_pending(now_s)
        # Ours are subtracted as they stand now; those that arrived or left since the scrape cost accuracy, not safety.
        self._others_waiting = max(waiting - self.waiting, 0.0)
        self._others = max(waiting + running - self.in_flight, 0.0)
        self._scraped_s = now_s
