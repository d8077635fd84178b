"""A connection to a Redis or Valkey server by its URL: plain, TLS or Unix socket, user and password in the URL."""

from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SCHEMES = ("redis", "rediss", "unix")


def connect(url: str, timeout_s: float) -> Redis:
    """Return a client; it connects when it is first used.

    `rediss://` checks certificate and host name; `?ssl_ca_certs=FILE`, `ssl_certfile`, `ssl_keyfile` name files.
    Raises: ValueError for a URL that is none of `SCHEMES`, or with parameters that are none.
    """
    scheme = urlsplit(url).scheme
    if scheme not in SCHEMES:
        raise ValueError(f"store.url: scheme {scheme!r} is none of {', '.join(s + '://' for s in SCHEMES)}")
    client: Redis = Redis.from_url(
        url,
        decode_responses=True,
        protocol=2,  # Proxies and managed servers may not know HELLO; nothing here needs RESP3.
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
    )
    pool = client.connection_pool
    try:
        pool.connection_class(**pool.connection_kwargs)  # Else a wrong parameter would only be found by the first call.
    except TypeError as exc:
        raise ValueError(f"store.url: {exc}") from exc
    return client
