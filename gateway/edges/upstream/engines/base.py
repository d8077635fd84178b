"""What is known about a family of engines: where its health and its queue can be read."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from gateway.domain.value import Value


class EngineLoad(Value, frozen=True):
    """An engine's own account of its queue; None is a number that it does not publish (not zero)."""

    waiting: float | None
    """Requests accepted and not yet running."""
    running: float | None
    kv_usage: float | None
    """Share of the KV cache in use, 0..1."""

    @property
    def has_data(self) -> bool:
        """True when at least one of the three is known."""
        return self.waiting is not None or self.running is not None or self.kv_usage is not None


@dataclass(frozen=True, slots=True)
class Engine:
    """One family of engines."""

    kind: str
    is_self_hosted: bool
    """Default for backends of this family: whether their queue is ours to bound."""
    health_path: str | None = None
    """Below the server's root (not below /v1); None: its health is not asked for."""
    metrics_path: str | None = None
    """Prometheus text below the server's root; None: it publishes none."""
    waiting: tuple[str, ...] = ()
    """Names of the metric, newest spelling first; the first one present counts."""
    running: tuple[str, ...] = ()
    kv_usage: tuple[str, ...] = ()
    takes_include_usage: bool = True
    """Whether `stream_options.include_usage` is understood."""

    def load_of(self, text: str) -> EngineLoad:
        """Read an exposition. With data parallelism there is a series per engine: queues add up, the fullest cache counts."""
        wanted = frozenset((*self.waiting, *self.running, *self.kv_usage))
        series = samples(text, wanted)
        return EngineLoad(_first(series, self.waiting, sum), _first(series, self.running, sum), _first(series, self.kv_usage, max))


def samples(text: str, wanted: frozenset[str]) -> Mapping[str, list[float]]:
    """Return the values of all series of the wanted metrics; what cannot be read, and NaN, is left out.

    Source: Prometheus text exposition format 0.0.4.
    """
    found: dict[str, list[float]] = {}
    for line in map(str.strip, text.split("\n")):
        if not line or line[0] == "#":
            continue
        brace = line.find("{")
        name = line[:brace] if brace >= 0 else line.split(None, 1)[0]
        if name not in wanted:
            continue
        # A label value may hold spaces and braces, so the sample is what follows the last brace.
        rest = line[line.rfind("}") + 1 :] if brace >= 0 else line[len(name) :]
        try:
            number = float(rest.split()[0])
        except (ValueError, IndexError):
            continue
        if not math.isnan(number):
            found.setdefault(name, []).append(number)
    return found


def _first(series: Mapping[str, list[float]], names: Iterable[str], join: Callable[[Iterable[float]], float]) -> float | None:
    for name in names:
        values = series.get(name)
        if values:
            return join(values)
    return None
