"""Scenarios: mistakes are found before the run, traffic is the same for the same seed, the gateway's YAML says what is meant."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gateway.config.load import load as load_config
from gateway.domain.catalog import Tariff
from load.arrivals import Arrival
from load.scenario import KEY, Addresses, Budget, Scenario, ScenarioError, budget_usd, gateway_yaml, tariffs_of

TINY = Scenario("tiny", 60.0, {"kind": "poisson", "rate_rps": 5.0}, backends={"strong": "hosted", "weak": "small"}, budget=Budget(0.35))


def written(tmp_path: Path, text: str) -> Path:
    (tmp_path / "s.yaml").write_text("name: s\nduration_s: 60\narrivals: {kind: poisson, rate_rps: 1}\n" + text)
    return tmp_path / "s.yaml"


def test_a_scenario_is_read_whole(tmp_path: Path) -> None:
    text = "budget: {strong_share: 0.2}\nfaults: [{kind: refuse, target: weak, at_s: 5, for_s: 2}]\n"
    text += "bursts: [{at_s: 1, for_s: 2, times: 3}]\n"
    scenario = Scenario.load(written(tmp_path, text))
    assert scenario.budget == Budget(0.2)
    assert scenario.faults[0].target == "weak"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("duraton_s: 5\n", "unknown key 'duraton_s'"),
        ("store_away: [{at_s: 5}]\n", "store_away: each needs exactly at_s and for_s"),
        ("bills: [{target: medium, at_s: 1, for_s: 1, times: 2}]\n", "bills: target 'medium' is none of the backends"),
        ("backends: {strong: h1000}\n", "'h1000' is none of"),
        ("faults: [{kind: refuse, target: strnog, at_s: 5}]\n", "target 'strnog'"),
        ("faults: [{kind: explode, target: strong}]\n", "explode"),
        ("bursts: [{at_s: 5, times: 2}]\n", "at_s, for_s and times"),
        ("classes: {}\n", "at least one class"),
        ("budget: {strong_shar: 0.3}\n", "strong_shar"),
        ("law: [\n", "is not YAML"),
    ],
)
def test_a_mistake_is_one_line_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ScenarioError, match=says) as caught:
        Scenario.load(written(tmp_path, text))
    assert "s.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.yaml cannot be read"):
        Scenario.load(Path("nowhere.yaml"))


@pytest.mark.parametrize("arrivals", [{"kind": "comets"}, {"kind": "trace"}, {"kind": "poisson", "rate": 3}])
def test_arrivals_that_nobody_understands_are_refused(arrivals: dict[str, object]) -> None:
    with pytest.raises(ScenarioError, match="arrivals"):
        replace(TINY, arrivals=arrivals).traffic(Path())


def test_traffic_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = TINY.traffic(Path()), TINY.traffic(Path()), replace(TINY, seed=2).traffic(Path())
    assert first == again
    assert first != other
    assert all(0 <= a.at_s < 60 for a, _ in first)
    assert {k for _, k in first} == {"critical", "standard", "batch"}


def test_a_burst_multiplies_the_traffic_of_its_window_only() -> None:
    burst = replace(TINY, duration_s=600.0, bursts=({"at_s": 200, "for_s": 100, "times": 3},)).traffic(Path())
    plain = replace(TINY, duration_s=600.0).traffic(Path())
    inside = [sum(200 <= a.at_s < 300 for a, _ in t) for t in (burst, plain)]
    assert inside[0] == pytest.approx(3 * inside[1], abs=1)
    before = [[a for a, _ in t if a.at_s < 200] for t in (burst, plain)]
    assert before[0] == before[1]


def test_the_budget_affords_the_share_exactly() -> None:
    traffic = [(Arrival(0.0, 1000, 100), "standard")] * 10
    tariffs = {"strong": Tariff(2.0, 10.0), "weak": Tariff(0.2, 1.0)}
    strong, weak = 0.003, 0.0003
    assert budget_usd(Budget(0.35), traffic, tariffs) == pytest.approx(10 * (0.35 * strong + 0.65 * weak))


def test_the_gateway_s_configuration_is_valid_and_says_what_is_meant() -> None:
    traffic = TINY.traffic(Path())
    where = Addresses("127.0.0.1:1", "127.0.0.1:2", {"strong": "http://127.0.0.1:3/v1", "weak": "http://127.0.0.1:4/v1"}, "/tmp/s")
    content = gateway_yaml(replace(TINY, budget=Budget(0.35, 1.3)), traffic, where, 1_700_000_000.0, "secret", None, lead_s=5.0)
    config = load_config("x.yaml", {}, content=content.encode())
    cost = next(s for s in config.slos if s.kind == "cost")
    assert cost.options.usd == pytest.approx(budget_usd(Budget(0.35), traffic, tariffs_of(TINY)))
    assert cost.options.forecast_requests == pytest.approx(1.3 * len(traffic))
    assert cost.period is not None
    assert cost.period.length_s == pytest.approx(65.0)
    assert {t.klass for t in config.catalog.tenants.values()} == {"critical", "standard", "batch"}
    assert [b.url for m in config.catalog.models.values() for b in m.backends] == ["http://127.0.0.1:3/v1", "http://127.0.0.1:4/v1"]
    assert KEY.format("batch") not in content


def test_static_takes_its_threshold_and_a_router_its_place() -> None:
    scenario = replace(TINY, law="static", router="some/where")
    data = yaml.safe_load(gateway_yaml(scenario, TINY.traffic(Path()), Addresses(), 0.0, "t", 0.42))
    assert data["pricing"]["law"] == {"kind": "static", "threshold": 0.42}
    assert data["routes"][0]["router"]["artifact"] == str(Path("some/where").absolute())
    data = yaml.safe_load(gateway_yaml(replace(TINY, router="constant"), TINY.traffic(Path()), Addresses(), 0.0, "t", None))
    assert data["routes"][0]["router"]["artifact"] == "constant"


def test_a_route_that_is_not_there_is_refused() -> None:
    with pytest.raises(ScenarioError, match="no route 'manual'"):
        tariffs_of(replace(TINY, route="manual"))
