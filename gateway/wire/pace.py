"""How a stream kept pace with an expected timeline: a few sums per stream, nothing kept per chunk.

Expected is that the k-th token is there at d_k = first token + k/rate after the request was read. A chunk of n tokens that comes at a
is late by the area between the two lines, the integral of max(0, a - d_x) over its tokens. At the end

    qoe = 1 - sum of lateness / sum of d_k          in [0, 1]

the mean lateness against how long tokens were expected to take. Earlier than expected earns nothing, and every token that comes
later makes it smaller or leaves it, whatever comes after: holding tokens back cannot polish it, as it can where the denominator
grows with what really happened. That one difference to Andes (arXiv:2404.16283), which divides by the area until the real end, is
ours; the danger is described in arXiv:2410.14257. The stall is the longest pause between two chunks with content.

Chunks are not tokens: tokens are bytes of content times the model's learned tokens per byte, as known when the stream began. Reasoning that
is billed but not shown makes that ratio too high, and the stream seem faster. Time in which the client did not read is taken off
all that comes later, since meanwhile we did not read from the backend either.
"""

from collections.abc import Sequence

from gateway.domain.event import Timeline


class Pace:
    """Watches one stream against one or more expected timelines."""

    __slots__ = ("_arrived_s", "_blocked_s", "_bytes", "_expected", "_is_writing", "_last_s", "_late", "_ratio", "_seen_s", "stall_s")

    def __init__(self, expected: Sequence[tuple[float, float]], arrived_s: float, tokens_per_byte: float) -> None:
        """Begin.

        Args:
            expected: seconds to the first token, and tokens per second, of each timeline.
            arrived_s: monotonic time at which the request was fully read.
        """
        self._expected, self._arrived_s, self._ratio = expected, arrived_s, tokens_per_byte
        self._late = [0.0] * len(expected)
        """Token-seconds of lateness, by timeline."""
        self._bytes, self._last_s, self._blocked_s, self._seen_s = 0, 0.0, 0.0, arrived_s
        self._is_writing = False
        self.stall_s = 0.0
        """Longest pause between two chunks with content so far, seconds."""

    def saw(self, now_s: float, content_bytes: int) -> None:
        """Take in that so many bytes of content have come by now, all told, and are passed on next."""
        self._seen_s, self._is_writing = now_s, True
        before = self._bytes
        if content_bytes <= before:
            return
        at_s, ratio = now_s - self._arrived_s - self._blocked_s, self._ratio
        if before and at_s - self._last_s > self.stall_s:
            self.stall_s = at_s - self._last_s
        self._bytes, self._last_s = content_bytes, at_s
        tokens, known = (content_bytes - before) * ratio, before * ratio
        for i, (first_s, rate) in enumerate(self._expected):
            of_first = at_s - first_s - known / rate
            if of_first <= 0.0:
                continue
            of_last = of_first - tokens / rate
            self._late[i] += (of_first + of_last) / 2 * tokens if of_last >= 0.0 else of_first * of_first * rate / 2

    def wrote(self, now_s: float) -> None:
        """Take in that what was seen last has been passed on: how long that took was the client's doing."""
        self._blocked_s += now_s - self._seen_s
        self._is_writing = False

    def ended(self, now_s: float) -> None:
        """Take in that no more will come, though it should have: the pause counts, unless the client did not read."""
        if self._is_writing:
            self.wrote(now_s)
        if self._bytes:
            self.stall_s = max(self.stall_s, now_s - self._arrived_s - self._blocked_s - self._last_s)

    def timelines(self) -> tuple[Timeline, ...]:
        """Return how each expected timeline was kept; none before the first content."""
        tokens = self._bytes * self._ratio
        if tokens <= 0.0:
            return ()
        kept = []
        for (first_s, rate), late in zip(self._expected, self._late, strict=True):
            due = tokens * first_s + tokens * tokens / (2 * rate)
            kept.append(Timeline(first_s, rate, max(1.0 - late / due, 0.0)))
        return tuple(kept)
