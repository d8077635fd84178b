"""Prometheus rules: names, thresholds, and what fires when; judged by promtool where it is installed."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.coherence import Coherence
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.itl import Itl
from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slis.ttft import Bin, Ttft
from gateway.core.budget.slo import Period, SloSpec
from gateway.edges.telemetry.metrics import Metrics
from gateway.formats.rules import rules_yaml, tiers_of, window_name

DAY_S = 86_400.0
AVAILABILITY = SloSpec("availability", "availability", Availability.Options(), objective=0.999, window_s=28 * DAY_S)
FIRST_TOKEN = SloSpec("first-token", "ttft", Ttft.Options(at_most=1.0), objective=0.95, window_s=7 * DAY_S, route="auto")
ANSWERS = SloSpec("answers", "quality", Quality.Options(), objective=0.9, window_s=28 * DAY_S)
SPEND = SloSpec("spend", "cost", Cost.Options(usd=5000.0), period=Period("month"))
ALL = (AVAILABILITY, FIRST_TOKEN, ANSWERS, SPEND)


def rules(*slos: SloSpec, exempt: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(rules_yaml(slos, exempt))["groups"] for rule in group["rules"]]


def test_an_slo_has_eight_error_ratios_and_seven_meta_series_in_sloths_names() -> None:
    records = [r for r in rules(AVAILABILITY) if "record" in r]
    assert [r["record"] for r in records] == [
        *(f"slo:sli_error:ratio_rate{w}" for w in ("5m", "30m", "1h", "2h", "6h", "1d", "3d", "4w")),
        "slo:objective:ratio",
        "slo:error_budget:ratio",
        "slo:time_period:days",
        "slo:current_burn_rate:ratio",
        "slo:period_burn_rate:ratio",
        "slo:period_error_budget_remaining:ratio",
        "sloth_slo_info",
    ]
    for record in records:
        assert record["labels"]["sloth_id"] == "sluice-availability"
    assert [r["labels"]["sloth_window"] for r in records[:8]] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d", "4w"]


@pytest.mark.parametrize(
    ("days", "factors"), [(30, [14.4, 6, 3, 1]), (28, [13.44, 5.6, 2.8, 0.9333]), (7, [13.44, 3.5, 1.4, 0.98]), (1, [1.92])]
)
def test_thresholds_are_those_of_the_workbook_and_of_sloths_week(days: int, factors: list[float]) -> None:
    slo = SloSpec("a", "availability", Availability.Options(), objective=0.99, window_s=days * DAY_S)
    assert [t.factor(days * DAY_S) for t in tiers_of(slo)] == pytest.approx(factors, rel=1e-4)


def test_an_slo_of_an_hour_has_no_burn_alert_but_still_its_series() -> None:
    found = rules(SloSpec("a", "availability", Availability.Options(), objective=0.99, period=Period("hour")))
    assert [r["record"] for r in found if "record" in r][:3] == [f"slo:sli_error:ratio_rate{w}" for w in ("5m", "30m", "1h")]
    assert "SluiceErrorBudgetBurn" not in [r.get("alert") for r in found]


@pytest.mark.parametrize(("days", "name"), [(28, "4w"), (7, "1w"), (30, "30d"), (1, "1d"), (0.5, "12h")])
def test_windows_are_spelt_as_prometheus_prints_them(days: float, name: str) -> None:
    assert window_name(days * DAY_S) == name


def test_every_metric_that_the_rules_read_is_one_of_ours() -> None:
    read = set(re.findall(r"\b((?:sluice|gen_ai)_[a-z_]+)[{\[ )]", rules_yaml(ALL)))
    source = Path(__file__).parents[4] / "gateway/edges/telemetry/metrics.py"
    known = set(re.findall(r'"((?:sluice|gen_ai)_[a-z_]+)"', source.read_text()))
    labels = {"gen_ai_request_model"}
    assert read
    assert {re.sub(r"_(bucket|count)$", "", name) for name in read} - labels <= known


def test_the_ttft_threshold_is_a_bucket_bound_of_the_metrics() -> None:
    slo = SloSpec("a", "ttft", Ttft.Options(at_most=0.8), objective=0.95, window_s=28 * DAY_S)
    match = re.search(r'le="([^"]+)"', rules_yaml([slo]))
    assert match is not None
    assert float(match[1]) in Metrics(ttft_bounds_s=[0.8]).ttft.child("chat", "vllm", "auto", "strong").bounds
    assert match[1] == "0.8"


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed")
    return found


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text(rules_yaml(ALL, ["batch", "a.b"]))
    done = subprocess.run([promtool(), "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def played(
    tmp_path: Path,
    series: dict[str, str],
    at: str,
    alert: str,
    expected: list[dict[str, str]],
    *slos: SloSpec,
    exempt: tuple[str, ...] = (),
) -> str:
    """Play series through the rules in promtool; return its complaint, empty when exactly the expected alerts fire."""
    (tmp_path / "rules.yaml").write_text(rules_yaml(slos, exempt))
    text = yaml.safe_load((tmp_path / "rules.yaml").read_text())
    summary = next(r["annotations"] for g in text["groups"] for r in g["rules"] if r.get("alert") == alert)
    alerts = [{"exp_labels": labels, "exp_annotations": _filled(summary, labels)} for labels in expected]
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": alerts}],
    }
    case = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "case.yaml").write_text(yaml.safe_dump(case))
    done = subprocess.run([promtool(), "test", "rules", "case.yaml"], capture_output=True, text=True, check=False, cwd=tmp_path)
    return "" if done.returncode == 0 else done.stdout + done.stderr


def _filled(annotations: dict[str, str], labels: dict[str, str]) -> dict[str, str]:
    def fill(text: str) -> str:
        text = re.sub(r"\{\{\$labels\.(\w+)\}\}", lambda m: labels.get(m[1], ""), text)
        return text.replace("(page)", f"({labels.get('sloth_severity', 'page')})")

    return {name: fill(text) for name, text in annotations.items()}


def burn(name: str, severity: str) -> dict[str, str]:
    ident = {"sloth_id": f"sluice-{name}", "sloth_service": "sluice", "sloth_slo": name}
    return {**ident, "sloth_severity": severity, "severity": severity, "slo": name}


def test_two_percent_failures_page_for_three_nines_and_half_of_the_allowed_do_not(tmp_path: Path) -> None:
    served = 'sluice_requests_total{route="auto",class="standard",reason="served",fault="nobody"}'
    failed = 'sluice_requests_total{route="auto",class="standard",reason="upstream_error",fault="backend"}'
    clients = 'sluice_requests_total{route="auto",class="standard",reason="invalid_json",fault="client"}'
    bad = {served: "0+980x90", failed: "0+20x90", clients: "0+5000x90"}
    assert (
        played(tmp_path, bad, "80m", "SluiceErrorBudgetBurn", [burn("availability", "page"), burn("availability", "ticket")], AVAILABILITY)
        == ""
    )
    fine = {served: "0+9995x90", failed: "0+5x90", clients: "0+5000x90"}
    assert played(tmp_path, fine, "80m", "SluiceErrorBudgetBurn", [], AVAILABILITY) == ""


def test_a_repaired_outage_stops_paging_though_the_long_window_still_burns(tmp_path: Path) -> None:
    served = 'sluice_requests_total{reason="served",fault="nobody"}'
    failed = 'sluice_requests_total{reason="upstream_error",fault="backend"}'
    series = {served: "0+900x60 54000+1000x10", failed: "0+100x60 6000+0x10"}
    text = played(
        tmp_path, series, "69m", "SluiceErrorBudgetBurn", [burn("availability", "page"), burn("availability", "ticket")], AVAILABILITY
    )
    assert text == "", "the pair of 30m and 6h still pages right after the repair"
    series = {served: "0+900x60 54000+1000x60", failed: "0+100x60 6000+0x60"}
    text = played(tmp_path, series, "119m", "SluiceErrorBudgetBurn", [burn("availability", "ticket")], AVAILABILITY)
    assert text == ""


def test_sheds_of_an_exempt_class_do_not_page(tmp_path: Path) -> None:
    served = 'sluice_requests_total{class="standard",reason="served",fault="nobody"}'
    shed = 'sluice_requests_total{class="batch",reason="shed_deadline",fault="us"}'
    series = {served: "0+900x90", shed: "0+100x90"}
    assert played(tmp_path, series, "80m", "SluiceErrorBudgetBurn", [], AVAILABILITY, exempt=("batch",)) == ""
    both = [burn("availability", "page"), burn("availability", "ticket")]
    assert played(tmp_path, series, "80m", "SluiceErrorBudgetBurn", both, AVAILABILITY) == ""


def test_late_first_tokens_are_counted_on_their_route_only(tmp_path: Path) -> None:
    name = "gen_ai_server_time_to_first_token_seconds"
    mine, other = 'gen_ai_request_model="auto"', 'gen_ai_request_model="other"'
    late = {f"{name}_count{{{mine}}}": "0+100x90", f'{name}_bucket{{{mine},le="1.0"}}': "0+20x90"}
    prompt = {f"{name}_count{{{mine}}}": "0+100x90", f'{name}_bucket{{{mine},le="1.0"}}': "0+99x90"}
    others = {f"{name}_count{{{other}}}": "0+100x90", f'{name}_bucket{{{other},le="1.0"}}': "0+0x90"}
    both = [burn("first-token", "page"), burn("first-token", "ticket")]
    assert played(tmp_path, {**late, **others}, "80m", "SluiceErrorBudgetBurn", both, FIRST_TOKEN) == ""
    assert played(tmp_path, {**prompt, **others}, "80m", "SluiceErrorBudgetBurn", [], FIRST_TOKEN) == ""


def test_an_exhausted_cost_budget_pages(tmp_path: Path) -> None:
    series = {'sluice_budget_exhausted{slo="spend",kind="cost"}': "0x10 1x10"}
    assert played(tmp_path, series, "15m", "SluiceBudgetExhausted", [{"severity": "page", "slo": "spend"}], SPEND) == ""
    assert played(tmp_path, series, "9m", "SluiceBudgetExhausted", [], SPEND) == ""


def test_limits_by_length_are_read_from_the_gauge_since_no_histogram_knows_lengths() -> None:
    binned = SloSpec("first-token", "ttft", Ttft.Options(8.0, (Bin(2000, 1.0),)), 0.95, window_s=28 * DAY_S)
    recorded = next(r for r in rules(binned) if r.get("record") == "slo:sli_error:ratio_rate1h")
    assert "sluice_budget_burn_rate" in recorded["expr"] and "time_to_first_token" not in recorded["expr"]


def test_a_full_process_counts_against_the_fleet_although_it_says_429() -> None:
    fleet, route = (rules(replace(AVAILABILITY, route=r))[0]["expr"] for r in (None, "auto"))
    assert fleet.count('reason="limit_streams"') == 2 and "limit_streams" not in route


@pytest.mark.parametrize(
    "slo",
    [
        SloSpec("pace", "itl", Itl.Options(1.0, 10.0, 2.0), objective=0.95, window_s=28 * DAY_S),
        SloSpec("coherence", "coherence", Coherence.Options(), objective=0.99, window_s=28 * DAY_S),
    ],
)
def test_kinds_without_counters_have_all_their_alerts_from_the_gauge(slo: SloSpec) -> None:
    made = rules(slo)
    assert [r["labels"]["severity"] for r in made if r.get("alert") == "SluiceErrorBudgetBurn"] == ["page", "ticket"]
    assert all("sluice_budget_burn_rate" in r["expr"] for r in made if str(r.get("record", "")).startswith("slo:sli_error:ratio_rate3d"))
