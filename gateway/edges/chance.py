"""The only file that draws."""

import os
import random
from hashlib import blake2b

SPAN = float(2**64)


class SystemChance:
    """Unguessable request ids, keyed draws that are stable for the same parts, and jitter."""

    def __init__(self, secret: bytes | None = None) -> None:
        self.share(secret or os.urandom(32))
        self._jitter = random.Random(os.urandom(16))
        self._pool, self._at = b"", 0

    def request_id(self) -> str:
        """Return `req_` and 24 hex digits of the system's randomness, drawn in blocks: one system call per 256 ids."""
        if self._at >= len(self._pool):
            self._pool, self._at = os.urandom(12 * 256), 0
        taken = self._pool[self._at : self._at + 12]
        self._at += 12
        return "req_" + taken.hex()

    def share(self, secret: bytes) -> None:
        """Draw and seal with a secret that other processes have, too."""
        self.secret = secret
        """What seals and keyed draws rest on; never logged."""
        self._keyed = blake2b(digest_size=8, key=secret)

    def sealed(self, request_id: str, wall_s: float, *parts: str) -> str:
        """Return a request id of the same form that tells us, and nobody else, when it was made and for whom.

        4 bytes of Unix seconds, 5 random ones of `request_id`, and 3 that only the secret makes of both and the parts: a verdict
        that comes weeks later, on another replica, needs no memory of the request. A made-up id passes once in 16 million.
        """
        head = f"{int(wall_s) & 0xFFFFFFFF:08x}{request_id[4:14]}"
        return f"req_{head}{self._seal(head, parts)}"

    def opened(self, request_id: str, *parts: str) -> float | None:
        """Return the Unix time of a sealed id; None when it was not sealed with these parts."""
        head = request_id[4:22]
        return float(int(head[:8], 16)) if self._seal(head, parts) == request_id[22:] else None

    def _seal(self, head: str, parts: tuple[str, ...]) -> str:
        drawn = self._keyed.copy()
        drawn.update("\x1f".join(("sealed", head, *parts)).encode("utf-8", "surrogatepass"))
        return drawn.hexdigest()[:6]

    def keyed(self, *parts: str) -> float:
        """Return a draw in [0, 1), the same for the same parts; not to be predicted without the secret."""
        drawn = self._keyed.copy()  # With the key taken in already.
        drawn.update("\x1f".join(parts).encode("utf-8", "surrogatepass"))
        return int.from_bytes(drawn.digest(), "big") / SPAN

    def uniform(self) -> float:
        """Return a fresh draw in [0, 1)."""
        return self._jitter.random()
