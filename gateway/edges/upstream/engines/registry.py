"""Engine families by the name that stands in the YAML."""

from collections.abc import Mapping

from gateway.edges.upstream.engines.base import Engine
from gateway.edges.upstream.engines.llamacpp import LLAMACPP
from gateway.edges.upstream.engines.openai import OPENAI
from gateway.edges.upstream.engines.sglang import SGLANG
from gateway.edges.upstream.engines.vllm import VLLM

ENGINES: Mapping[str, Engine] = {"openai": OPENAI, "vllm": VLLM, "sglang": SGLANG, "llamacpp": LLAMACPP}
