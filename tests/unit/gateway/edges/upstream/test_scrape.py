"""An engine's account of its queue, or none."""

import pytest

from gateway.domain.catalog import Backend
from gateway.domain.errors import Reason
from gateway.edges.upstream.engines.base import EngineLoad
from gateway.edges.upstream.scrape import Scrape
from gateway.ports import UpstreamFailure

PAGE = b"vllm:num_requests_waiting 3\nvllm:num_requests_running 5\nvllm:kv_cache_usage_perc 0.5\n"
VLLM = Backend("b", "http://gpu:8000/v1", "m", engine="vllm")


class Pages:
    """Stands for the pool."""

    def __init__(self, status: int | None, body: bytes) -> None:
        self.status, self.body = status, body

    async def get(self, url, headers, timeout_s, body_max):
        assert url == "http://gpu:8000/metrics"
        if self.status is None:
            raise UpstreamFailure(Reason.UPSTREAM_UNREACHABLE, "away")
        return self.status, self.body


async def test_a_page_is_read():
    assert await Scrape(Pages(200, PAGE)).scrape_once(VLLM) == EngineLoad(3.0, 5.0, 0.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "body"), [(404, PAGE), (None, b""), (200, b""), (200, b"other 1\n"), (200, b"\xff\xfe\x00")])
async def test_no_account_is_none_rather_than_an_empty_queue(status, body):
    assert await Scrape(Pages(status, body)).scrape_once(VLLM) is None  # type: ignore[arg-type]


async def test_a_hosted_api_is_not_asked():
    assert await Scrape(Pages(200, PAGE)).scrape_once(Backend("b", "https://api/v1", "m")) is None  # type: ignore[arg-type]
