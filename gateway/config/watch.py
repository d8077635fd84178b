"""Has the configuration changed, and is it whole?

Polling by content: what counts is what stands in the file and in the secret files that it names, not times or inodes.
That sees every way of changing a file (written in place, renamed over, a ConfigMap's swapped symlink) and nothing else.
A change is reported when two polls in a row read the same, so a file that is still being written is not taken; a
writer that pauses for longer than a poll can still show a half: then that does not load, or the rest is the next change.
A file that is away for a moment is no change; `problem` says so.
"""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from gateway.config.references import Unresolved, files_in, read_file


class Watcher:
    """Watches one configuration file; make it before the first load, so that no edit falls between the two."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.problem: str | None = None
        """Why the file cannot be read now; None when it can."""
        seen = self._read()
        self._taken = self._candidate = seen[0] if seen else None

    def changed(self) -> bytes | None:
        """Poll once; return the new content when it, or a secret file, has changed and was the same on two polls.

        Each change is returned once, whether or not it turns out to be a valid configuration.
        """
        seen = self._read()
        if seen is None:
            self._candidate = None
            return None
        print_now, content = seen
        is_stable, self._candidate = print_now == self._candidate, print_now
        if not is_stable or print_now == self._taken:
            return None
        self._taken = print_now
        return content

    def _read(self) -> tuple[bytes, bytes] | None:
        """Return the fingerprint of the file with its secrets, and the file's content."""
        try:
            content = self._path.read_bytes()
        except OSError as exc:
            self.problem = f"{self._path} cannot be read: {exc.strerror or type(exc).__name__}"
            return None
        self.problem = None
        return fingerprint(content, {name: _secret(name) for name in files_in(content)}), content


def fingerprint(content: bytes, secrets: Mapping[str, bytes | None]) -> bytes:
    """Return a digest of a configuration's bytes and of the secret files that it names (None: unreadable)."""
    digest = sha256(sha256(content).digest())
    for name, secret in sorted(secrets.items()):
        digest.update(sha256(name.encode("utf-8", "replace")).digest())
        digest.update(b"\x00" if secret is None else b"\x01" + sha256(secret).digest())
    return digest.digest()


def _secret(path: str) -> bytes | None:
    try:
        return read_file(path)
    except (OSError, Unresolved, ValueError):  # ValueError: a NUL in the path.
        return None
