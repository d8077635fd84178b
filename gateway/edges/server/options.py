"""The data port and the admin port: addresses and limits on everything that a client can make grow."""

from dataclasses import dataclass, field

from gateway.domain.catalog import Secret
from gateway.domain.units import ByteCount, Count, Seconds


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Section `server`."""

    listen: str = "127.0.0.1:8080"
    """Address of the data port, `host:port`."""
    body_max: ByteCount = 10 * 1024 * 1024
    """Largest request body; a larger one is answered 413. Raising it lets one client hold more memory."""
    headers_max: ByteCount = 32 * 1024
    """Largest head (request line and all headers); a larger one is answered 431."""
    connections_max: Count = 4096
    """Open client connections; further ones are closed at once."""
    streams_max: Count = 2048
    """Requests in flight; further ones are answered 429 with Retry-After."""
    idle: Seconds = 75.0
    """How long a kept-alive connection may do nothing before it is closed."""
    read_timeout: Seconds = 30.0
    """How long a client may take to send head and body; slower ones are answered 408 and closed."""
    write_timeout: Seconds = 60.0
    """How long a reader may accept nothing before its stream is dropped and its backend cancelled."""
    drain: Seconds = 30.0
    """On SIGTERM: how long open streams may finish before they are cut."""


@dataclass(frozen=True, slots=True)
class AdminOptions:
    """Section `admin`: page, /admin and /metrics; never on the data port."""

    listen: str = "127.0.0.1:8081"
    token: Secret | None = field(default=None, repr=False)
    """Bearer token for the page and /admin; None (auth: none there) only on a loopback address."""
