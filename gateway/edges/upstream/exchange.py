"""Where a backend is, and what begins every request to it."""

from urllib.parse import urlsplit

from gateway.domain.catalog import Backend
from gateway.edges.upstream.connections import Origin
from gateway.ports import Call


class Target:
    """One backend, with the connections to its server."""

    __slots__ = ("_after", "_path", "backend", "origin")

    def __init__(self, backend: Backend, origin: Origin) -> None:
        self.backend, self.origin = backend, origin
        parts = urlsplit(backend.url)
        self._path = f"POST {parts.path}"
        lines = [f"Host: {parts.netloc.rpartition('@')[2]}"]
        if backend.api_key is not None:
            lines.append(f"Authorization: Bearer {backend.api_key.reveal()}")
        self._after = " HTTP/1.1\r\n" + "\r\n".join(lines) + "\r\n"

    def request(self, call: Call) -> bytes:
        """Return the whole request; the headers are clean of line breaks (`wire/headers.py`)."""
        body = call.body
        lines = "\r\n".join([*map(": ".join, call.headers), f"Content-Length: {len(body)}", "", ""])
        head = f"{self._path}{call.path}{self._after}{lines}"
        # The server decoded what is not UTF-8 in the same way, so that it goes on as it came.
        return head.encode("utf-8", "surrogateescape") + body
