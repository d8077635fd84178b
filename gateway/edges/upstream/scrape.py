"""How full is an engine, in its own words? Read from its metrics page; our own token accounts stay the fresher source."""

from gateway.domain.catalog import Backend
from gateway.edges.upstream.engines.base import EngineLoad
from gateway.edges.upstream.engines.registry import ENGINES
from gateway.edges.upstream.pool import AiohttpUpstream
from gateway.edges.upstream.probe import key_header, server_root
from gateway.ports import UpstreamFailure

SCRAPE_TIMEOUT_S = 1.0
BODY_MAX = 4 * 1024 * 1024


class Scrape:
    """Reads the load of self-hosted engines."""

    def __init__(self, upstream: AiohttpUpstream) -> None:
        self._upstream = upstream

    async def scrape_once(self, backend: Backend) -> EngineLoad | None:
        """Return the engine's account of its queue; None when it gives none (no page, no such metric, no answer)."""
        engine = ENGINES[backend.engine]
        if engine.metrics_path is None:
            return None
        try:
            url = server_root(backend.url) + engine.metrics_path
            status, body = await self._upstream.get(url, key_header(backend), SCRAPE_TIMEOUT_S, BODY_MAX)
        except UpstreamFailure:
            return None
        if status != 200:
            return None
        load = engine.load_of(body.decode("utf-8", "replace"))
        return load if load.has_data else None
