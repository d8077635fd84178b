"""Is an engine there? Asked beside the traffic, so that a dead backend is known before a request finds out."""

from urllib.parse import urlsplit

from gateway.domain.catalog import Backend
from gateway.edges.upstream.engines.registry import ENGINES
from gateway.edges.upstream.pool import AiohttpUpstream
from gateway.ports import UpstreamFailure

PROBE_TIMEOUT_S = 1.0
BODY_MAX = 4096


class Probe:
    """Asks self-hosted engines for their health; the `Prober` of `upkeep`."""

    def __init__(self, upstream: AiohttpUpstream) -> None:
        self._upstream = upstream

    async def probe(self, backend: Backend) -> bool | None:
        """Return whether the engine says that it is well; None for a hosted API, which has no page to ask."""
        path = ENGINES[backend.engine].health_path
        if path is None:
            return None
        try:
            status, _ = await self._upstream.get(server_root(backend.url) + path, key_header(backend), PROBE_TIMEOUT_S, BODY_MAX)
        except UpstreamFailure:
            return False
        return 200 <= status < 300


def server_root(url: str) -> str:
    """Return the address below which an engine keeps its own pages: the base url without its version."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path.removesuffix('/v1')}"


def key_header(backend: Backend) -> dict[str, str]:
    """Return the header that lets us in."""
    return {} if backend.api_key is None else {"Authorization": f"Bearer {backend.api_key.reveal()}"}
