"""A scenario: what traffic comes, what breaks when, what the budget is; one YAML for sockets and for virtual time.

The gateway under test runs the shipped configuration with what the scenario must change: addresses, one tenant per
class, the engines, and the cost budget over the scenario's own length. `gateway_yaml` writes that file; `load run` starts a
gateway with it, `load sim` builds the core from it.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from gateway.domain.catalog import Tariff
from load.arrivals import Arrival, bursts, poisson, trace
from load.engine import PRESETS
from load.faults import Fault, FaultError

CALIBRATED = ("static", "step")
"""Laws with a threshold of their own, which a scenario does not have to name."""
KEY = "sk-load-{}"
"""Key of the tenant that sends one class's traffic; these tenants exist only in the scenario's own configuration."""


LISTS = {
    "bursts": ("at_s", "for_s", "times"),
    "bills": ("target", "at_s", "for_s", "times"),
    "budget_edits": ("at_s", "times"),
    "store_away": ("at_s", "for_s"),
}
"""Lists of a scenario, and what each of their members says."""


class ScenarioError(ValueError):
    """The scenario file is wrong; the message says where."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A cost budget that affords about `strong_share` of the scenario's traffic."""

    strong_share: float
    forecast_factor: float = 1.0
    """What the operator believes about the number of requests, over the truth."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario; seconds are those of the scenario, whatever speed it is run at."""

    name: str
    duration_s: float
    arrivals: Mapping[str, Any]
    seed: int = 1
    config: str = "config/sluice.yaml"
    """The gateway configuration that is changed, relative to the working directory."""
    bursts: tuple[Mapping[str, float], ...] = ()
    prompts: Mapping[str, Any] = field(default_factory=lambda: {"kind": "generated"})
    classes: Mapping[str, float] = field(default_factory=lambda: {"critical": 0.1, "standard": 0.6, "batch": 0.3})
    """Share of the traffic by class."""
    stream_share: float = 1.0
    route: str = "auto"
    backends: Mapping[str, str] = field(default_factory=lambda: {"strong": "h100", "weak": "h100"})
    """Engine preset by model."""
    faults: tuple[Fault, ...] = ()
    budget: Budget | None = None
    law: str | None = None
    """Instead of the configuration's law; `static` and `step` are calibrated on the forecast."""
    bills: tuple[Mapping[str, Any], ...] = ()
    """Models whose bills are `times` the tariff: {target, at_s, for_s, times}. On virtual time only, as the next two."""
    budget_edits: tuple[Mapping[str, float], ...] = ()
    """Moments at which the operator makes the cost budget `times` as large: {at_s, times}."""
    store_away: tuple[Mapping[str, float], ...] = ()
    """Times at which the store is not to be reached: {at_s, for_s}; counts wait, prices stay."""
    router: str | None = None
    """Router artifact instead of the configuration's: builtin, constant, or a folder."""

    @classmethod
    def load(cls, path: Path) -> "Scenario":
        """Read a scenario file.

        Raises: ScenarioError.
        """
        data = _yaml(path)
        if not isinstance(data, dict):
            raise ScenarioError(f"{path}: must be a mapping")
        unknown = sorted(set(data) - set(cls.__dataclass_fields__))
        if unknown:
            raise ScenarioError(f"{path}: unknown key {unknown[0]!r}; there are {', '.join(cls.__dataclass_fields__)}")
        try:
            data["faults"] = tuple(Fault(**f) for f in data.get("faults", ()))
            for key in LISTS:
                data[key] = tuple(data.get(key, ()))
            data["budget"] = Budget(**data["budget"]) if data.get("budget") else None
            scenario = cls(**data)
        except (TypeError, FaultError) as trouble:
            raise ScenarioError(f"{path}: {trouble}") from trouble
        scenario._check(path)
        return scenario

    def _check(self, path: Path) -> None:
        """Find what would otherwise fail in the middle of a run. Raises: ScenarioError."""
        if not self.duration_s > 0:
            raise ScenarioError(f"{path}: duration_s must be above 0")
        if not self.classes:
            raise ScenarioError(f"{path}: classes must name at least one class")
        for preset in self.backends.values():
            if preset not in PRESETS:
                raise ScenarioError(f"{path}: backends: {preset!r} is none of {', '.join(PRESETS)}")
        for fault in self.faults:
            if fault.target not in self.backends:
                raise ScenarioError(f"{path}: faults: target {fault.target!r} is none of the backends {', '.join(self.backends)}")
        for key, needed in LISTS.items():
            for one in getattr(self, key):
                if set(one) != set(needed):
                    raise ScenarioError(f"{path}: {key}: each needs exactly {', '.join(needed[:-1])} and {needed[-1]}")
        for bill in self.bills:
            if bill["target"] not in self.backends:
                raise ScenarioError(f"{path}: bills: target {bill['target']!r} is none of the backends {', '.join(self.backends)}")

    @property
    def is_virtual(self) -> bool:
        """Whether it has happenings that only a simulation can play."""
        return bool(self.bills or self.budget_edits or self.store_away)

    def traffic(self, data: Path) -> list[tuple[Arrival, str]]:
        """Return all arrivals with their classes, the same for the same seed.

        Args:
            data: folder of the public data, for traces.
        """
        rng = np.random.Generator(np.random.PCG64([self.seed, 1]))
        made = sorted(self._arrivals(data, rng), key=lambda a: a.at_s)
        names, shares = list(self.classes), np.array(list(self.classes.values()))
        drawn = rng.choice(len(names), len(made), p=shares / shares.sum())
        return [(a, names[k]) for a, k in zip(made, drawn.tolist(), strict=True) if a.at_s < self.duration_s]

    def _arrivals(self, data: Path, rng: np.random.Generator) -> Iterator[Arrival]:
        options = dict(self.arrivals)
        kind = options.pop("kind", "poisson")
        try:
            if kind == "trace":
                made = trace(data / options.pop("file"), **options)
            elif kind == "poisson":
                made = poisson(duration_s=self.duration_s, rng=rng, **options)
            else:
                raise ScenarioError(f"arrivals.kind {kind!r} is none of trace, poisson")
        except (KeyError, TypeError) as trouble:
            raise ScenarioError(f"arrivals of kind {kind} do not understand {dict(self.arrivals)}: {trouble}") from trouble
        for burst in self.bursts:
            made = bursts(made, burst["at_s"], burst["for_s"], burst["times"], rng)
        yield from made


def budget_usd(budget: Budget, traffic: list[tuple[Arrival, str]], tariffs: Mapping[str, Tariff]) -> float:
    """Return the dollars that afford `strong_share` of this traffic, by its mean token counts."""
    strong, weak = (np.mean([t.usd(a.input_tokens, a.output_tokens) for a, _ in traffic]) for t in list(tariffs.values())[:2])
    return float(len(traffic) * (budget.strong_share * strong + (1 - budget.strong_share) * weak))


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything listens in one run; the simulation needs only well-formed ones."""

    gateway: str = "127.0.0.1:8080"
    admin: str = "127.0.0.1:8081"
    backends: Mapping[str, str] = field(default_factory=dict)
    """Base address by model."""
    directory: str = ".sluice"


def gateway_yaml(
    scenario: Scenario,
    traffic: list[tuple[Arrival, str]],
    where: Addresses,
    started_wall_s: float,
    admin_token: str,
    threshold: float | None,
    lead_s: float = 0.0,
    tail_s: float = 0.0,
) -> str:
    """Return the gateway's configuration for one run.

    Args:
        started_wall_s: the budget's period starts here and is as long as `lead_s`, the scenario and `tail_s` together.
        threshold: of the `static` or `step` law, when the scenario asks for it.
        lead_s: from the period's start to the scenario's: what a real gateway needs to come up.
        tail_s: from the scenario's end to the period's, for runs whose account is read when all is over.
    Raises: ScenarioError when scenario and configuration do not fit.
    """
    data = _yaml(Path(scenario.config))
    data.pop("auth", None)
    data["mode"] = "enforce"
    data["server"] = {**data.get("server", {}), "listen": where.gateway}
    data["admin"] = {"listen": where.admin, "token": admin_token}
    data["store"] = {**data.get("store", {}), "url": "embedded", "directory": where.directory}
    data["decision_log"] = {**data.get("decision_log", {}), "path": f"{where.directory}/decisions.jsonl"}
    for model in data["models"]:
        address = where.backends.get(model["name"], f"http://{model['name']}.invalid/v1")
        engine = "openai" if scenario.backends.get(model["name"]) == "hosted" else "vllm"
        model["backends"] = [{"url": address, "model": model["name"], "engine": engine}]
    for route in data["routes"]:
        if "router" in route:
            _place_router(route["router"], scenario)
    data["tenants"] = [
        {"name": f"load-{k}", "keys": ["sha256:" + hashlib.sha256(KEY.format(k).encode()).hexdigest()], "class": k, "may": ["debug"]}
        for k in scenario.classes
    ]
    if scenario.budget is not None:
        usd = budget_usd(scenario.budget, traffic, tariffs_of(scenario))
        spend = next((s for s in data.get("slos", ()) if s["sli"]["kind"] == "cost"), None)
        if spend is None:
            raise ScenarioError(f"{scenario.config} has no SLO of kind cost to give the scenario's budget to")
        spend.pop("window", None)
        spend["sli"] = {"kind": "cost", "usd": usd, "forecast_requests": len(traffic) * scenario.budget.forecast_factor}
        spend["period"], spend["anchor"] = f"{scenario.duration_s + lead_s + tail_s:.3f}s", _iso(started_wall_s)
    if scenario.law is not None:
        data["pricing"]["law"] = {"kind": scenario.law, "threshold": threshold} if scenario.law in CALIBRATED else scenario.law
    return yaml.safe_dump(data, sort_keys=False)


def tariffs_of(scenario: Scenario) -> dict[str, Tariff]:
    """Return the tariffs of the scenario's route, best model first.

    Raises: ScenarioError when the configuration has no such route.
    """
    data = _yaml(Path(scenario.config))
    tariffs = {m["name"]: Tariff(**m["tariff"]) for m in data["models"]}
    for route in data["routes"]:
        if route["name"] == scenario.route:
            return {name: tariffs[name] for name in route["models"]}
    raise ScenarioError(f"{scenario.config} has no route {scenario.route!r}")


def _place_router(router: dict[str, Any], scenario: Scenario) -> None:
    """Put the scenario's router in, and spell folders so that they can be found from anywhere."""
    if scenario.router is not None:
        router.pop("sha256", None)
        router["artifact"] = scenario.router
    artifact, base = router.get("artifact", "builtin"), Path() if scenario.router is not None else Path(scenario.config).parent
    if artifact not in ("builtin", "constant"):
        router["artifact"] = str((base / artifact).absolute())


def _yaml(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text())
    except OSError as trouble:
        raise ScenarioError(f"{path} cannot be read: {trouble.strerror}") from trouble
    except (yaml.YAMLError, UnicodeDecodeError) as trouble:
        raise ScenarioError(f"{path} is not YAML: {' '.join(str(trouble).split())}") from trouble


def _iso(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat().replace("+00:00", "Z")
