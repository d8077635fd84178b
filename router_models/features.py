"""What a router sees of a prompt: hashed byte n-grams and a few surface counts, in numpy alone.

The same functions run at training and at serving. A prompt is cut to a bounded window (head and tail, bytes of UTF-8), lower-cased in
ASCII, and every overlapping run of n bytes becomes one bucket: a little-endian uint64 view with stride 1 over the bytes, shifted so that
only n bytes remain, multiplied by an odd constant per n, top bits kept (multiply-shift hashing; shift and product are one product). A
linear model over those counts, divided by the square root of the window's length, costs one `take` and one `sum` (4 us at 315
characters, and 3 us more for the surface counts).

Defined for every str: empty prompts have one n-gram (the start mark), lone surrogates are encoded as they are, NUL is a byte like
others, and a 10 MB prompt costs no more than a 4 KB one because only its two ends are encoded.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MULTIPLIERS = (
    0x9E3779B97F4A7C15,
    0xC2B2AE3D27D4EB4F,
    0x165667B19E3779F9,
    0x27D4EB2F165667C5,
    0x85EBCA77C2B2AE63,
    0xD6E8FEB86659FD93,
    0xA0761D6478BD642F,
    0xE7037ED1A0B428DB,
)
"""One odd 64-bit constant per n (1..8), from well-mixed public hash functions; part of the feature hash."""

_START = b"\n"
"""Put before the text, so that the first word looks like the first word of a line."""
_PADDING = b"\0" * 8
"""Read by the last n-grams, whose 8-byte view would run past the end."""

_LITTLE_ENDIAN = np.dtype("<u8")
_BUCKET = np.dtype(np.int64)

_CLASSES = {b"0": b"0123456789", b"U": bytes(range(65, 91)), b"=": b"=+^*\\$<>/|", b"(": b"()[]{}", b"~": bytes(range(128, 256))}
"""Digits, upper case, formula signs, brackets, bytes of other scripts; every byte of a class becomes its key, all others a dot."""
_CLASS_OF_BYTE = bytes(next((key[0] for key, members in _CLASSES.items() if byte in members), 46) for byte in range(256))

_SINGLES = tuple(b"\n?.,_\":'"[i : i + 1] for i in range(8))
"""Bytes that are counted on their own, besides the space."""
_KEYS = tuple(_CLASSES)
_ROWS_OF_CLASS = np.array([[byte in members for byte in range(256)] for members in _CLASSES.values()], dtype=np.int64)
"""Shape (classes, 256): which bytes belong to which class."""
_PLAIN = bytes(byte for byte in range(256) if byte == 32 or (_CLASS_OF_BYTE[byte] == 46 and bytes((byte,)) not in _SINGLES))
"""Lower-case letters and whatever else is not counted, and the space: nine tenths of a usual text, taken out before the rest is counted."""
_CATEGORIES = 16
_CATEGORY_OF_BYTE = np.full(256, _CATEGORIES - 1, dtype=np.int64)
"""Of each byte: 0 a space, then each of _SINGLES, then each class of _CLASSES, at last whatever is not counted."""
for _at, _members in enumerate((b" ", *_SINGLES, *_CLASSES.values())):
    _CATEGORY_OF_BYTE[list(_members)] = _at
_HISTOGRAM_BYTES = 700
"""Rest from which one histogram of all bytes is cheaper than a count per byte: 15 us less at 4 KB, 1 us more at 300 bytes."""

SURFACE = (
    "log_characters",
    "log_characters_squared",
    "log_spaces",
    "log_lines",
    "log_digits",
    "digit_share",
    "log_upper",
    "upper_share",
    "log_questions",
    "log_full_stops",
    "log_commas",
    "log_blanks",
    "log_math",
    "log_quotes",
    "log_colons",
    "bytes_per_word",
    "other_script_share",
    "log_brackets",
    "log_indents",
    "log_paragraphs",
    "log_apostrophes",
    "log_code_words",
)
"""Names of the surface counts, in the order of `surface`."""


_CODE_WORDS = (b"return", b"def ", b"import ", b"print(")
_OF_CATEGORY = np.array([SURFACE.index(name) for name in (
    "log_spaces", "log_lines", "log_questions", "log_full_stops", "log_commas", "log_blanks", "log_quotes", "log_colons", "log_apostrophes",
    "log_digits", "log_upper", "log_math", "log_brackets", "other_script_share",
)])  # fmt: skip
"""Where the count of each category of bytes goes (the last as a share), in the order of _CATEGORY_OF_BYTE."""
_OF_TEXT = np.array([SURFACE.index(name) for name in ("log_characters", "log_indents", "log_paragraphs", "log_code_words")])
_LINES = 1
"""Category of line feeds."""


@dataclass(frozen=True)
class FeatureSpec:
    """What is hashed and how; two specs with the same hash give the same features everywhere."""

    orders: tuple[int, ...] = (3, 5)
    """Lengths n of the byte n-grams, each 1..8."""
    buckets_log2: int = 17
    """Number of buckets as a power of two; all orders share one table."""
    head_bytes: int = 3072
    """Bytes kept from the start of a long prompt."""
    tail_bytes: int = 1024
    """Bytes kept from its end, where instructions of long prompts usually are."""

    def __post_init__(self) -> None:
        if not self.orders or any(not 1 <= n <= 8 for n in self.orders):
            raise ValueError(f"orders must be one or more of 1..8, not {self.orders}")
        if not 4 <= self.buckets_log2 <= 24:
            raise ValueError(f"buckets_log2 must be 4..24, not {self.buckets_log2}")
        if self.head_bytes < 16 or self.tail_bytes < 16:
            raise ValueError("head_bytes and tail_bytes must be at least 16")

    @classmethod
    def from_options(cls, options: Mapping[str, Any]) -> FeatureSpec:
        """Read the spec's own keys out of a mapping; missing ones keep their default.

        Raises: TypeError or ValueError when a value is of another form.
        """
        numbers = {name: int(options[name]) for name in ("buckets_log2", "head_bytes", "tail_bytes") if name in options}
        orders = tuple(int(n) for n in options["orders"]) if "orders" in options else cls.orders
        return cls(orders, **numbers)

    @property
    def buckets(self) -> int:
        """Length of the hash table."""
        return 1 << self.buckets_log2

    def digest(self) -> str:
        """Return the sha256 of everything that fixes the features: spec, constants, surface names."""
        content = {"spec": asdict(self), "multipliers": _MULTIPLIERS, "surface": SURFACE, "version": 2}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class Featurizer:
    """Turns prompts into bucket numbers and surface counts for one spec."""

    def __init__(self, spec: FeatureSpec) -> None:
        self.spec = spec
        # (gram << k) * c and gram * (c << k) are the same modulo 2**64: the shift that keeps n bytes costs nothing at serving.
        shifted = [(_MULTIPLIERS[n - 1] << (64 - 8 * n)) % 2**64 for n in spec.orders]
        self._multiply = np.array(shifted, dtype=np.uint64).reshape(-1, 1)
        self._top = np.uint64(64 - spec.buckets_log2)
        self._limit = spec.head_bytes + spec.tail_bytes

    def window(self, prompt: str) -> bytes:
        """Return the bytes that are looked at: all of a short prompt, else its head and tail."""
        spec = self.spec
        if len(prompt) > self._limit:
            # Cut characters first: encoding 10 MB only to throw it away would block the event loop.
            prompt = prompt[: spec.head_bytes] + prompt[-spec.tail_bytes :]
        raw = prompt.encode("utf-8", "surrogatepass")
        if len(raw) > self._limit:
            raw = raw[: spec.head_bytes] + raw[-spec.tail_bytes :]
        return raw

    def buckets(self, window: bytes) -> NDArray[np.int64]:
        """Return the bucket of every n-gram, shape (orders, bytes + 1), values in [0, buckets)."""
        text = _START + window.lower()
        grams = np.ndarray((len(text),), _LITTLE_ENDIAN, text + _PADDING, 0, (1,))
        hashed = grams * self._multiply
        hashed >>= self._top
        numbers: NDArray[np.int64] = hashed.view(_BUCKET)
        return numbers

    def surface(self, prompt: str, window: bytes) -> tuple[float, ...]:
        """Return the surface counts named in SURFACE; only the first two see the whole prompt's length."""
        size = len(window) + 1
        count = window.count
        log1p = math.log1p
        log_characters = log1p(len(prompt))
        spaces, rest = count(b" "), window.translate(None, _PLAIN)
        singles, classes = byte_counts(rest) if len(rest) <= _HISTOGRAM_BYTES else byte_counts_of_long(rest)
        lines, questions, full_stops, commas, blanks, quotes, colons, apostrophes = singles
        digits, upper, formula, brackets, other_script = classes
        return (
            log_characters,
            log_characters * log_characters,
            log1p(spaces),
            log1p(lines),
            log1p(digits),
            digits / size,
            log1p(upper),
            upper / size,
            log1p(questions),
            log1p(full_stops),
            log1p(commas),
            log1p(blanks),
            log1p(formula),
            log1p(quotes),
            log1p(colons),
            size / (spaces + 1),
            other_script / size,
            log1p(brackets),
            log1p(count(b"\n ")) if lines else 0.0,
            log1p(count(b"\n\n")) if lines else 0.0,
            log1p(apostrophes),
            log1p(sum(map(count, _CODE_WORDS))),
        )

    def buckets_of_many(self, windows: Sequence[bytes]) -> tuple[NDArray[np.int64], list[int]]:
        """Return the buckets of several windows in one array, shape (orders, all bytes), and where to cut it.

        Row by row `numpy.add.reduceat` with these indices gives for each window the sum over its buckets, then one over padding.
        """
        parts: list[bytes] = []
        cuts: list[int] = []
        at = 0
        for window in windows:
            parts += (_START, window.lower(), _PADDING)
            end = at + len(window) + 1
            cuts += (at, end)
            at = end + len(_PADDING)
        grams = np.ndarray((at - len(_PADDING) + 1,), _LITTLE_ENDIAN, b"".join(parts), 0, (1,))
        hashed = grams * self._multiply
        hashed >>= self._top
        return hashed.view(_BUCKET), cuts

    def surface_of_many(self, prompts: Sequence[str], windows: Sequence[bytes]) -> NDArray[np.float64]:
        """Return what `surface` returns of each prompt, shape (prompts, len(SURFACE)); equal but for the last bit of a logarithm."""
        n = len(windows)
        lengths = [len(window) for window in windows]
        joined = b"".join(windows)
        categories = _CATEGORY_OF_BYTE.take(np.frombuffer(joined, dtype=np.uint8))
        categories += np.repeat(np.arange(0, n * _CATEGORIES, _CATEGORIES), lengths)
        counts = np.bincount(categories, minlength=n * _CATEGORIES).reshape(n, _CATEGORIES).T
        lines = counts[_LINES].tolist()
        found = np.zeros((len(SURFACE), n))
        found[_OF_CATEGORY] = counts[: len(_OF_CATEGORY)]
        found[_OF_TEXT] = (
            [len(prompt) for prompt in prompts],
            [window.count(b"\n ") if some else 0 for window, some in zip(windows, lines)],
            [window.count(b"\n\n") if some else 0 for window, some in zip(windows, lines)],
            # Which of the words are in no prompt is found out at once.
            self._counted([word for word in _CODE_WORDS if word in joined], windows),
        )
        spaces, digits, upper, other = found[[2, 4, 6, 16]]
        np.log1p(found, out=found)
        sizes = np.array(lengths, dtype=np.float64) + 1.0
        found[1] = found[0] * found[0]
        found[5], found[7], found[15], found[16] = digits / sizes, upper / sizes, sizes / (spaces + 1.0), other / sizes
        return found.T

    @staticmethod
    def _counted(words: Sequence[bytes], windows: Sequence[bytes]) -> list[int]:
        return [sum([window.count(word) for word in words]) for window in windows] if words else [0] * len(windows)


def byte_counts(rest: bytes) -> tuple[list[int], list[int]]:
    """Return how often each of _SINGLES and each class of _CLASSES occurs, byte by byte: fastest where they are few."""
    return list(map(rest.count, _SINGLES)), list(map(rest.translate(_CLASS_OF_BYTE).count, _KEYS))


def byte_counts_of_long(rest: bytes) -> tuple[list[int], list[int]]:
    """Return the same numbers as `byte_counts` from one histogram."""
    histogram = np.bincount(np.frombuffer(rest, dtype=np.uint8), minlength=256)
    each: list[int] = histogram.tolist()
    classes: list[int] = _ROWS_OF_CLASS.dot(histogram).tolist()
    return [each[single[0]] for single in _SINGLES], classes
