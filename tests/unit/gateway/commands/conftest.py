"""A configuration and a way to run a verb as the command line does."""

import argparse
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

CONFIG = """
auth: none
admin: {{listen: "127.0.0.1:{port}", token: admin-token}}
store: {{url: memory}}
models:
  - {{name: strong, tariff: {{input_usd_per_mtok: 2.5, output_usd_per_mtok: 10}}, context_tokens: 128000,
      backends: [{{url: "http://127.0.0.1:9101/v1", model: strong}}]}}
  - {{name: weak, tariff: {{input_usd_per_mtok: 0.15, output_usd_per_mtok: 0.6}}, context_tokens: 32000,
      backends: [{{url: "http://127.0.0.1:9102/v1", model: weak}}]}}
routes:
  - {{name: auto, models: [strong, weak], router: {{artifact: constant}}}}
slos:
  - {{name: availability, sli: {{kind: availability}}, objective: 0.999, window: 28d}}
  - {{name: spend, sli: {{kind: cost, usd: 5}}, period: calendar-day}}
classes:
  - {{name: standard, value: 3, ttft_deadline: 30s}}
  - {{name: batch, value: 1, ttft_deadline: 10m, exempts_sheds: true}}
tenants:
  - {{name: open, class: standard}}
"""

Verb = Callable[..., int]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "sluice.yaml"
    path.write_text(CONFIG.format(port=8081))
    return path


def verb_of(module: ModuleType) -> Verb:
    """Return a function that runs a verb with these arguments."""

    def run(*arguments: object) -> int:
        parser = argparse.ArgumentParser(prog="sluice")
        module.add_arguments(parser)
        code: int = module.run(parser.parse_args([str(a) for a in arguments]))
        return code

    return run


@pytest.fixture
def verb() -> Callable[[ModuleType], Verb]:
    return verb_of
