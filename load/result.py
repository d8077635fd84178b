"""What a run leaves behind: one row per request, one per budget tick, and figures from both.

The same shape from sockets (`load run`) and from virtual time (`load sim`), so that the two can be laid side by side.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

SERVED = "served"
SHEDS = ("shed_deadline", "shed_overload")
NOT_RUNNING = "not_running"
"""Sent while the harness itself had the gateway stopped: says nothing about the gateway."""
SCHEMA = 1


@dataclass(slots=True)
class Row:
    """One request, times in seconds of the scenario; latency counts from the intended send time."""

    at_s: float
    klass: str
    model: str | None
    """The model that answered; None when none did."""
    reason: str
    """`served`, the code of an error body, or how the connection failed."""
    ttft_s: float | None
    total_s: float
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    attempts: int = 1


@dataclass(slots=True)
class Sample:
    """The budgets at one moment, as the governor published them."""

    t_s: float
    alpha_ref: float | None
    spent_usd: float | None
    mode: str | None
    prices: dict[str, float] = field(default_factory=dict)
    projected: dict[str, float | None] = field(default_factory=dict)
    """Use of each budget at the end of its period if things go on as they went; 1 uses it up exactly."""
    breakers: dict[str, str] = field(default_factory=dict)
    infeasible: list[str] = field(default_factory=list)
    """SLOs that are said not to be possible together with those before them."""


@dataclass(slots=True)
class Result:
    """One whole run."""

    scenario: str
    kind: str
    """run or sim."""
    law: str
    duration_s: float
    budget_usd: float | None
    strong: str
    """Name of the best model."""
    speed: float
    rows: list[Row]
    samples: list[Sample]
    notes: dict[str, Any] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """Return the run's figures as plain data; ratios are 0..1."""
        rows = [r for r in self.rows if r.reason != NOT_RUNNING]
        served = [r for r in rows if r.reason == SERVED]
        shed = [r for r in rows if r.reason in SHEDS]
        reasons = Counter(r.reason for r in rows)
        spend = sum(r.usd for r in rows)
        alphas = [s.alpha_ref for s in self.samples if s.alpha_ref is not None]
        return {
            "scenario": self.scenario,
            "kind": self.kind,
            "law": self.law,
            "speed": self.speed,
            "requests": len(rows),
            "not_running": len(self.rows) - len(rows),
            "served": len(served),
            "availability": len(served) / len(rows) if rows else None,
            "failed": len(rows) - len(served) - len(shed),
            "failed_share": (len(rows) - len(served) - len(shed)) / len(rows) if rows else None,
            "reasons": dict(reasons),
            "sheds_by_class": dict(Counter(r.klass for r in shed)),
            "spend_usd": spend,
            "budget_usd": self.budget_usd,
            "spend_over_budget": spend / self.budget_usd if self.budget_usd else None,
            "strong_share": sum(r.model == self.strong for r in served) / len(served) if served else None,
            "strong_share_by_class": {k: _share(served, k, self.strong) for k in sorted({r.klass for r in rows})},
            "prompt_tokens": sum(r.prompt_tokens for r in served),
            "completion_tokens": sum(r.completion_tokens for r in served),
            "ttft_s": _percentiles([r.ttft_s for r in served if r.ttft_s is not None]),
            "total_s": _percentiles([r.total_s for r in served]),
            "attempts_per_request": float(np.mean([r.attempts for r in rows])) if rows else None,
            "alpha_ref_tv": float(np.abs(np.diff(alphas)).sum()) if len(alphas) > 1 else None,
            "alpha_ref_end": alphas[-1] if alphas else None,
            **({"notes": self.notes} if self.notes else {}),
        }

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"schema": SCHEMA, "figures": self.figures()} | {f.name: getattr(self, f.name) for f in fields(self)}
        path.write_bytes(msgspec.json.encode(whole))

    @classmethod
    def read(cls, path: Path) -> "Result":
        """Read a written result.

        Raises: ValueError when it cannot be read or is of another schema.
        """
        try:
            data = json.loads(path.read_text())
        except OSError as trouble:
            raise ValueError(f"{path} cannot be read: {trouble.strerror}") from trouble
        except ValueError as trouble:
            raise ValueError(f"{path} is not a result: {trouble}") from trouble
        if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
            raise ValueError(f"{path} is not a result of this version")
        data.pop("figures")
        data["rows"], data["samples"] = [Row(**r) for r in data["rows"]], [Sample(**s) for s in data["samples"]]
        return cls(**data)


def _share(served: Sequence[Row], klass: str, strong: str) -> float | None:
    of_class = [r for r in served if r.klass == klass]
    return sum(r.model == strong for r in of_class) / len(of_class) if of_class else None


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    p50, p90, p99 = np.percentile(values, [50, 90, 99])
    return {"p50": float(p50), "p90": float(p90), "p99": float(p99), "mean": float(np.mean(values))}
