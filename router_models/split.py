"""Which prompts belong together: the question stem, and the fold that it falls into.

Two prompts with the same stem are the same question, perhaps with other options; they must never sit on both sides of a
train/test split. Folds come from a hash of the stem, so that everybody cuts the same data at the same place without a seed.
"""

from __future__ import annotations

import hashlib
import re

FOLDS = 5
HELD_OUT_FOLD = 0
"""The fifth that no shipped artifact has seen; load scenarios draw their prompts from it."""

_OPTION_A = re.compile(r"\n\(?A[.)] ")
_OTHER = re.compile(r"[^a-z0-9]+")


def question(prompt: str) -> str:
    """Return the text before the last option block (`A. ...`), or the whole prompt when it has none.

    The last block, because few-shot prompts carry answered examples, with their options, before the question itself.
    """
    cut = len(prompt)
    for match in _OPTION_A.finditer(prompt):
        cut = match.start()
    return prompt[:cut]


def stem(prompt: str) -> str:
    """Return the normalised question: lower case, every run of characters other than a-z0-9 as one space, trimmed."""
    return _OTHER.sub(" ", question(prompt).lower()).strip()


def stem_key(prompt: str) -> int:
    """Return the first 64 bits of the stem's sha256: what an artifact keeps of the questions that it was trained on."""
    return int.from_bytes(hashlib.sha256(stem(prompt).encode()).digest()[:8], "big")


def fold(prompt: str) -> int:
    """Return the fold 0..4 of a prompt: sha256(stem) mod 5."""
    return int(hashlib.sha256(stem(prompt).encode()).hexdigest(), 16) % FOLDS
