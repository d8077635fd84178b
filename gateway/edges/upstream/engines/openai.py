"""Hosted APIs that speak OpenAI's language: they queue on their own side and publish neither health nor load."""

from gateway.edges.upstream.engines.base import Engine

OPENAI = Engine("openai", is_self_hosted=False)
