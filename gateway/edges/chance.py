"""The only file that draws."""

import os
import random
from hashlib import blake2b

SPAN = float(2**64)


class SystemChance:
    """Unguessable request ids, keyed draws that are stable for the same parts, and jitter."""

    def __init__(self, secret: bytes | None = None) -> None:
        self._keyed = blake2b(digest_size=8, key=secret or os.urandom(32))
        self._jitter = random.Random(os.urandom(16))
        self._pool, self._at = b"", 0

    def request_id(self) -> str:
        """Return `req_` and 24 hex digits of the system's randomness, drawn in blocks: one system call per 256 ids."""
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(12 * 256), 0
        taken = self._pool[self._at : self._at + 12]
        self._at += 12
        return "req_" + taken.hex()

    def keyed(self, *parts: str) -> float:
        """Return a draw in [0, 1), the same for the same parts; not to be predicted without the secret."""
        drawn = self._keyed.copy()  # With the key taken in already.
        drawn.update("\x1f".join(parts).encode("utf-8", "surrogatepass"))
        return int.from_bytes(drawn.digest(), "big") / SPAN

    def uniform(self) -> float:
        """Return a fresh draw in [0, 1)."""
        return self._jitter.random()
