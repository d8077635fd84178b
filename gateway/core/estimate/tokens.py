"""Tokens: how many tokens are in so many bytes, per model, learned from reported usage.

Theory: a tokenizer turns text of one kind into a steady number of tokens per byte (about 0.25 for English, 0.3-0.4 for
code and other scripts). The estimate is a ratio of sums, Σ tokens / Σ bytes, both fading over about 100 requests, so that long
texts count by their length; one request counts at most `BYTES_MAX`, since a body full of base64 images says little
about text. It starts at 0.25, held by 20 kB worth of prior. Clipped to [0.02, 1]: a token is at least a byte.
Prompt and answer are learned apart: chat templates add tokens to prompts, streamed answers have no JSON around them.
"""

BYTES_PER_TOKEN_START = 4.0
RATIO_START = 1.0 / BYTES_PER_TOKEN_START
RATIO_MIN, RATIO_MAX = 0.02, 1.0
PRIOR_BYTES = 20_000.0
BYTES_MAX = 50_000
KEEP = 0.99
MODELS_MAX = 4096


class Ratio:
    """Tokens per byte of one model's prompts or answers."""

    __slots__ = ("_bytes", "_tokens", "value")

    def __init__(self) -> None:
        self._bytes, self._tokens = PRIOR_BYTES, PRIOR_BYTES * RATIO_START
        self.value = RATIO_START

    def learn(self, n_bytes: int, tokens: int) -> None:
        """Take in one reported count; nothing is learned from empty texts."""
        if n_bytes <= 0 or tokens <= 0:
            return
        weight = min(1.0, BYTES_MAX / n_bytes)
        self._bytes = self._bytes * KEEP + n_bytes * weight
        self._tokens = self._tokens * KEEP + tokens * weight
        self.value = min(max(self._tokens / self._bytes, RATIO_MIN), RATIO_MAX)


class Tokens:
    """Ratios by model name (or route name, before a model is chosen); survives a config swap."""

    def __init__(self) -> None:
        self._prompts: dict[str, Ratio] = {}
        self._completions: dict[str, Ratio] = {}

    def prompt(self, model: str, n_bytes: int) -> int:
        """Return the expected prompt tokens of a text; at least 1."""
        ratio = self._prompts.get(model)
        return max(int(n_bytes * (RATIO_START if ratio is None else ratio.value)), 1)

    def completion(self, model: str, n_bytes: int) -> int:
        """Return the expected tokens of an answer's text; 0 for none."""
        ratio = self._completions.get(model)
        return int(n_bytes * (RATIO_START if ratio is None else ratio.value) + 0.5)

    def learn_prompt(self, model: str, n_bytes: int, tokens: int) -> None:
        """Take in the reported prompt tokens of a text."""
        ratio_of(self._prompts, model).learn(n_bytes, tokens)

    def learn_completion(self, model: str, n_bytes: int, tokens: int) -> None:
        """Take in the reported completion tokens of an answer's text."""
        ratio_of(self._completions, model).learn(n_bytes, tokens)


def ratio_of(table: dict[str, Ratio], model: str) -> Ratio:
    """Return a model's ratio, a fresh one when unknown; the oldest goes beyond `MODELS_MAX`."""
    ratio = table.get(model)
    if ratio is None:
        ratio = table[model] = Ratio()
        if len(table) > MODELS_MAX:
            del table[next(iter(table))]
    return ratio
