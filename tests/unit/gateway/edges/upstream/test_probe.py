"""Where an engine's own pages lie, and what their answers mean."""

import pytest

from gateway.domain.catalog import Backend, Secret
from gateway.domain.errors import Reason
from gateway.edges.upstream.probe import Probe, key_header, server_root
from gateway.ports import UpstreamFailure


class Pages:
    """Stands for the pool: answers with a status, or with none."""

    def __init__(self, status: int | None) -> None:
        self.status, self.asked = status, []

    async def get(self, url, headers, timeout_s, body_max):
        self.asked.append((url, dict(headers)))
        if self.status is None:
            raise UpstreamFailure(Reason.UPSTREAM_UNREACHABLE, "away")
        return self.status, b""


@pytest.mark.parametrize(
    ("url", "root"),
    [
        ("http://gpu:8000/v1", "http://gpu:8000"),
        ("https://host/prefix/v1", "https://host/prefix"),
        ("http://[::1]:8000/v1", "http://[::1]:8000"),
        ("http://host/api", "http://host/api"),
    ],
)
def test_the_root_is_the_url_without_its_version(url, root):
    assert server_root(url) == root


@pytest.mark.parametrize(("status", "is_well"), [(200, True), (204, True), (503, False), (404, False), (302, False), (None, False)])
async def test_only_a_2xx_is_well(status, is_well):
    pages = Pages(status)
    backend = Backend("b", "http://gpu:8000/v1", "m", engine="vllm", api_key=Secret("k"))
    assert await Probe(pages).probe(backend) is is_well  # type: ignore[arg-type]
    assert pages.asked == [("http://gpu:8000/health", {"Authorization": "Bearer k"})]


async def test_a_hosted_api_is_not_asked():
    pages = Pages(200)
    assert await Probe(pages).probe(Backend("b", "https://api/v1", "m")) is None  # type: ignore[arg-type]
    assert not pages.asked
    assert key_header(Backend("b", "https://api/v1", "m")) == {}
