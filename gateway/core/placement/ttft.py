"""Ttft: how long one backend would take to its first token, learned from what it took.

Theory: an engine with continuous batching prefills what is queued and then the request's own prompt, with one decode
step of everything running between two chunks:

    ttft = base + rate * (pending + prompt tokens) + D1 * requests * (1 + tokens / CHUNK)

The last term is small and its constants hardly differ between machines, so it is set; base and rate are a weighted
straight line through the last 30 observations or so (five running sums, no matrix), steadied by two observations'
worth of the long-run line. Rules:

- Robust: an observation counts as at most 3 mean deviations away from what was expected. A real change widens the
  deviation within a few requests, a single straggler does not.
- Recovers: a backend that looks slow is not chosen, so nothing new is learned. Without observations the line falls
  back, with a time constant of 30 s, to the long-run one (hundreds of observations, held by a prior worth 20), and the
  next request finds out.
- A hosted API shows no queue of ours: its caller passes pending 0 and requests 0, and the line is that of the own prompt.

Not handled: prefix caches (a hit is just a fast observation), KV shortage. Source: reference/serving_systems.md section
3.2 and `predicted_ttft` of the engine model there; D1 lies between its fitted H100 (0.33 ms) and A100 (0.43 ms).
"""

from math import exp

BASE_S, S_PER_TOKEN = 0.1, 1e-4
"""Prior: about an H100 with a 70 B model, and a network."""
S_PER_TOKEN_MIN, S_PER_TOKEN_MAX = 1e-6, 0.1
D1_S, CHUNK_TOKENS = 0.00035, 2048.0
SAMPLES, SPREAD_SAMPLES, LONG_SAMPLES, PRIOR_SAMPLES = 30.0, 10.0, 500.0, 20.0
STEADY_TOKENS = 2000.0
"""Where the second of the two steadying observations lies; the first is at 0."""
CLIP_SPREADS = 3.0
SPREAD_S_START, SPREAD_S_MIN = 0.1, 0.005
SILENCE_S, FADE_S = 30.0, 60.0
"""Time constants without observations: of the prediction towards the long-run line, of the evidence behind it."""


class Ttft:
    """One backend's learned line."""

    __slots__ = ("_base_s", "_long_base_s", "_long_rate", "_rate", "_samples", "_seen_s", "_spread_s", "_sums")

    def __init__(self) -> None:
        self._base_s = self._long_base_s = BASE_S
        self._rate = self._long_rate = S_PER_TOKEN
        self._samples, self._seen_s, self._spread_s = 0, float("-inf"), SPREAD_S_START
        self._sums = (0.0, 0.0, 0.0, 0.0, 0.0)
        """Decayed sums of 1, x, y, x², xy; x in tokens, y in seconds."""

    def predict(self, pending_tokens: float, prompt_tokens: float, requests: float, now_s: float) -> float:
        """Return the expected seconds from sending to the first token."""
        tokens = pending_tokens + prompt_tokens
        predicted = self._base_s + self._rate * tokens
        age_s = now_s - self._seen_s
        if age_s > 1.0 and self._samples:
            long = self._long_base_s + self._long_rate * tokens
            predicted = long + (predicted - long) * exp(-age_s / SILENCE_S)
        return predicted + D1_S * requests * (1.0 + tokens / CHUNK_TOKENS) if requests else predicted

    def s_per_token(self, now_s: float) -> float:
        """Return the learned seconds per un-prefilled prompt token."""
        if not self._samples:
            return self._rate
        return self._long_rate + (self._rate - self._long_rate) * exp(-max(now_s - self._seen_s, 0.0) / SILENCE_S)

    def observe(self, tokens: float, requests: float, ttft_s: float, now_s: float) -> None:
        """Learn from one first token.

        Args:
            tokens: pending and own prompt tokens when the request was sent.
            requests: requests in the engine at that time.
            ttft_s: seconds from sending to the first token.
        """
        expected_s = self.predict(tokens, 0.0, requests, now_s)
        off_s = ttft_s - expected_s
        clip_s = CLIP_SPREADS * self._spread_s
        self._spread_s = max(self._spread_s + (min(abs(off_s), 2 * clip_s) - self._spread_s) / SPREAD_SAMPLES, SPREAD_S_MIN)
        y = expected_s + min(max(off_s, -clip_s), clip_s) - D1_S * requests * (1.0 + tokens / CHUNK_TOKENS)
        keep = (1.0 - 1.0 / SAMPLES) * exp(-max(now_s - self._seen_s, 0.0) / FADE_S)
        n, sx, sy, sxx, sxy = self._sums
        self._sums = n * keep + 1.0, sx * keep + tokens, sy * keep + y, sxx * keep + tokens * tokens, sxy * keep + tokens * y
        self._fit()
        self._samples += 1
        self._seen_s = now_s
        step = 1.0 / (min(self._samples, LONG_SAMPLES) + PRIOR_SAMPLES)
        self._long_base_s += (self._base_s - self._long_base_s) * step
        self._long_rate += (self._rate - self._long_rate) * step

    def _fit(self) -> None:
        n, sx, sy, sxx, sxy = self._sums
        far_s = self._long_base_s + self._long_rate * STEADY_TOKENS
        n, sx, sy = n + 2.0, sx + STEADY_TOKENS, sy + self._long_base_s + far_s
        sxx, sxy = sxx + STEADY_TOKENS * STEADY_TOKENS, sxy + STEADY_TOKENS * far_s
        mean_x, mean_y = sx / n, sy / n
        rate = (sxy / n - mean_x * mean_y) / (sxx / n - mean_x * mean_x)
        self._rate = min(max(rate, S_PER_TOKEN_MIN), S_PER_TOKEN_MAX)
        self._base_s = max(mean_y - self._rate * mean_x, 0.0)
