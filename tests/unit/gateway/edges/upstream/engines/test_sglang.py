"""SGLang's metrics."""

from gateway.edges.upstream.engines.base import EngineLoad
from gateway.edges.upstream.engines.sglang import SGLANG


def test_its_names_are_read():
    page = 'sglang:num_running_reqs{model_name="m"} 2\nsglang:num_queue_reqs{model_name="m"} 1\nsglang:token_usage{model_name="m"} 0.28\n'
    assert SGLANG.load_of(page) == EngineLoad(1.0, 2.0, 0.28)
