"""llama.cpp's metrics."""

from gateway.edges.upstream.engines.base import EngineLoad
from gateway.edges.upstream.engines.llamacpp import LLAMACPP


def test_its_names_are_read_with_and_without_kv_use():
    page = "llamacpp:requests_processing 1\nllamacpp:requests_deferred 3\n"
    assert LLAMACPP.load_of(page) == EngineLoad(3.0, 1.0, None)
    assert LLAMACPP.load_of(page + "llamacpp:kv_cache_usage_ratio 0.5\n").kv_usage == 0.5
