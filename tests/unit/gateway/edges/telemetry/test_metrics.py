"""Every metric of the gateway, counted as requests end and computed when somebody scrapes."""

import re
import shutil
import subprocess
from typing import Any

import pytest

from gateway.domain.catalog import Backend, Model, Tariff, TrafficClass
from gateway.domain.decision import Choice, Placed
from gateway.domain.errors import Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.edges.telemetry.metrics import Metrics

BACKEND = Backend("strong@gpu-1:8000", "http://gpu-1:8000/v1", "big", engine="vllm")
STRONG = Model("strong", Tariff(2.5, 10), 128_000, (BACKEND,))
STANDARD = TrafficClass("standard", value=3, ttft_deadline_s=30, rank=1)
FACTS = RequestFacts("req_1", Endpoint.CHAT, "acme", STANDARD, "auto", (STRONG,), 100, None, True, 0.0, (0.1, 0.2))
PLACED = Placed(Choice("strong", "score", (0.7, 0.5), 0.2, win_rate=0.62, threshold=0.42), STRONG, BACKEND, 3)
SERVED = Outcome(
    Reason.SERVED, "strong", ttft_s=0.3, total_s=2.3, prompt_tokens=100, completion_tokens=41, cached_tokens=10, reasoning_tokens=8
)

STATE: dict[str, Any] = {
    "wall_s": 1_000_012.0,
    "board": {
        "made_wall_s": 1_000_000.0,
        "config_hash": "aaa",
        "mode": "scarce",
        "alpha_ref": {"auto": 0.42}, "alpha_by_class": {"auto": {"batch": 0.7}},
        "request_rate": 5.4,
        "infeasible": ["availability"],
        "exhausted": [],
        "budgets": [
            {
                "slo": "spend", "kind": "cost", "route": None, "objective": None, "budget_usd": 1.0, "spent_usd": 0.31,
                "remaining": 0.69, "burn": {"5m": 1.1, "1h": 0.9}, "price": 0.8, "allowance": 0.0002,
                "projected": 0.98, "forecast_requests_left": 1234.0, "forecast_level": 1.5, "alert": None,
            },
            {
                "slo": "availability", "kind": "availability", "route": "auto", "objective": 0.999, "remaining": 0.75,
                "burn": {"5m": None, "1h": 0.2}, "price": 0.0, "allowance": 0.001, "alert": "page", "predicted": 0.2,
            },
        ],
    },
    "local": {
        "backends": [
            {
                "id": "strong@gpu-1", "model": "strong", "breaker": "open", "success": 0.4, "in_flight": 3, "pending_tokens": 800,
                "ttft_s": None,
            }
        ],
        "queue": {"waiting": 2}, "reserved_usd": 0.5, "fairness": 0.8,
        "prices_version": 17,
        "prices_age_s": 3.2,
        "alone_since_wall_s": 90.0,
        "overrides": {"pins": [{"route": "auto"}]},
    },
    "worker": {
        "fleet": {"replicas": 4, "generation": 2, "newest": 2, "behind": 1},
        "routers": {"auto": None, "other": "no artifact"},
        "config": {"generation": 3, "hash": "ccc", "price_hash": "bbb", "errors": ["x"], "mode": "observe"},
        "store": {"is_away": True, "fill": 0.01, "pending_batches": 4, "lost_batches": 7, "mismatches": 2, "clock_offset_s": -0.5},
        "decision_log": {"written": 9, "dropped": 1, "errors": 2},
    },
}  # fmt: skip


def samples(text: str) -> dict[str, float]:
    """Read an exposition: sample with labels -> value."""
    return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if not line.startswith("#")}


def test_an_ended_request_is_counted_under_its_route_model_class_and_reason() -> None:
    metrics = Metrics()
    metrics.ended(FACTS, PLACED, SERVED, usd=0.002, overhead_s=0.0004)
    metrics.ended(FACTS, PLACED, SERVED, usd=0.002, overhead_s=0.0004)
    got = samples(metrics.render({}))
    assert got['sluice_requests_total{route="auto",model="strong",class="standard",reason="served",fault="nobody"}'] == 2
    assert got['sluice_decisions_total{route="auto",model="strong",why="score"}'] == 2
    assert got['sluice_tokens_total{model="strong",type="input"}'] == 200
    assert got['sluice_tokens_total{model="strong",type="output"}'] == 82
    assert got['sluice_tokens_total{model="strong",type="cached"}'] == 20
    assert got['sluice_tokens_total{model="strong",type="reasoning"}'] == 16
    assert got['sluice_cost_usd_total{model="strong"}'] == pytest.approx(0.004)
    assert got["sluice_overhead_seconds_count"] == 2
    assert got['sluice_win_rate_bucket{route="auto",le="0.6"}'] == 0
    assert got['sluice_win_rate_bucket{route="auto",le="0.65"}'] == 2
    assert got['sluice_threshold_bucket{route="auto",le="0.45"}'] == 2


def test_genai_histograms_have_the_conventions_names_and_attributes() -> None:
    metrics = Metrics()
    metrics.ended(FACTS, PLACED, SERVED, usd=0.0, overhead_s=0.0)
    got = samples(metrics.render({}))
    who = 'gen_ai_operation_name="chat",gen_ai_provider_name="vllm",gen_ai_request_model="auto",gen_ai_response_model="strong"'
    assert got[f"gen_ai_server_time_to_first_token_seconds_sum{{{who}}}"] == pytest.approx(0.3)
    assert got[f"gen_ai_server_time_per_output_token_seconds_sum{{{who}}}"] == pytest.approx(0.05)
    assert got[f'gen_ai_server_request_duration_seconds_sum{{{who},error_type=""}}'] == pytest.approx(2.3)
    assert got[f'gen_ai_client_token_usage_sum{{{who},gen_ai_token_type="output"}}'] == 41


def test_thresholds_of_ttft_slos_become_bucket_bounds() -> None:
    metrics = Metrics(ttft_bounds_s=[0.3, 1.0])
    metrics.ended(FACTS, PLACED, SERVED, usd=0.0, overhead_s=0.0)
    text = metrics.render({})
    assert re.search(r'time_to_first_token_seconds_bucket\{[^}]*le="0.3"\} 1$', text, re.MULTILINE)
    assert len(re.findall(r'time_to_first_token_seconds_bucket\{[^}]*le="1.0"\}', text)) == 1


def test_a_shed_counts_as_a_shed_and_a_request_without_a_model() -> None:
    metrics = Metrics()
    metrics.ended(FACTS, None, Outcome(Reason.SHED_DEADLINE, None, total_s=0.1), usd=0.0, overhead_s=0.0)
    metrics.turned_away(Reason.UNKNOWN_KEY)
    got = samples(metrics.render({}))
    assert got['sluice_sheds_total{class="standard",reason="shed_deadline"}'] == 1
    assert got['sluice_requests_total{route="auto",model="none",class="standard",reason="shed_deadline",fault="us"}'] == 1
    assert got['sluice_requests_total{route="none",model="none",class="none",reason="invalid_api_key",fault="client"}'] == 1
    assert not any(name.startswith("sluice_decisions_total") for name in got)


def test_retries_and_fallbacks_are_told_apart() -> None:
    metrics = Metrics()
    metrics.again("strong", is_retry=True)
    metrics.again("weak", is_retry=False)
    got = samples(metrics.render({}))
    assert got['sluice_retries_total{model="strong"}'] == 1
    assert got['sluice_fallbacks_total{model="weak"}'] == 1


def test_gauges_say_what_the_state_says() -> None:
    got = samples(Metrics().render(STATE))
    assert got['sluice_budget_remaining_ratio{slo="spend",kind="cost"}'] == 0.69
    assert got['sluice_budget_burn_rate{slo="spend",kind="cost",window="5m"}'] == 1.1
    assert got['sluice_price{slo="availability",kind="availability",route="auto"}'] == 0.0
    assert got['sluice_budget_infeasible{slo="availability",kind="availability",route="auto"}'] == 1
    assert got['sluice_budget_infeasible{slo="spend",kind="cost"}'] == 0
    assert got['sluice_alpha_ref{route="auto"}'] == 0.42
    assert got['sluice_alpha_class{route="auto",class="batch"}'] == 0.7
    assert got['sluice_mode{mode="scarce"}'] == 1
    assert got['sluice_mode{mode="green"}'] == 0
    assert got["sluice_budget_state_age_seconds"] == 12.0
    assert got['sluice_breaker_state{backend="strong@gpu-1",model="strong",state="open"}'] == 1
    assert got['sluice_breaker_state{backend="strong@gpu-1",model="strong",state="closed"}'] == 0
    assert got['sluice_backend_pending_tokens{backend="strong@gpu-1",model="strong"}'] == 800
    assert got["sluice_queue_waiting"] == 2
    assert got["sluice_pinned_routes"] == 1
    assert got["sluice_config_errors"] == 1
    assert got["sluice_config_mismatch"] == 1
    assert got["sluice_enforcing"] == 0
    assert got["sluice_store_away"] == 1
    assert got["sluice_reserved_usd"] == 0.5
    assert got['sluice_router_fallback{route="auto"}'] == 0
    assert got['sluice_router_fallback{route="other"}'] == 1
    assert got["sluice_store_lost_batches_total"] == 7
    assert got["sluice_store_mismatches_total"] == 2
    assert got["sluice_store_clock_offset_seconds"] == -0.5
    assert (got["sluice_replicas"], got["sluice_replicas_behind"], got["sluice_alone"]) == (4, 1, 1)
    assert got["sluice_decision_log_dropped_total"] == 1


def test_what_has_no_data_is_not_shown_as_zero() -> None:
    got = samples(Metrics().render(STATE))
    assert not any('slo="availability"' in name and 'window="5m"' in name for name in got)
    assert not any(name.startswith("sluice_backend_ttft_seconds") for name in got)
    assert not any("budget" in name or "store" in name for name in samples(Metrics().render({})))


def test_no_key_tenant_or_request_id_becomes_a_label() -> None:
    metrics = Metrics()
    metrics.ended(FACTS, PLACED, SERVED, usd=0.0, overhead_s=0.0)
    text = metrics.render(STATE)
    assert "acme" not in text
    assert "req_1" not in text


def test_every_family_has_help_and_type_before_its_samples() -> None:
    metrics = Metrics()
    metrics.ended(FACTS, PLACED, SERVED, usd=0.0, overhead_s=0.0)
    declared: set[str] = set()
    for line in metrics.render(STATE).splitlines():
        if line.startswith("# TYPE"):
            name = line.split()[2]
            assert name not in declared
            declared.add(name)
        elif not line.startswith("#"):
            assert re.sub(r"_(bucket|sum|count)$", "", re.split(r"[{ ]", line)[0]) in declared or re.split(r"[{ ]", line)[0] in declared


def test_promtool_finds_nothing_wrong() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    metrics = Metrics()
    metrics.ended(FACTS, PLACED, SERVED, usd=0.0, overhead_s=0.0)
    done = subprocess.run([promtool, "check", "metrics"], input=metrics.render(STATE), text=True, capture_output=True, check=False)
    assert "error" not in done.stderr.lower(), done.stderr
    assert done.returncode in (0, 3), done.stderr


def test_tiers_levels_and_predictions_are_gauges_of_their_own() -> None:
    got = samples(Metrics().render(STATE))
    who = 'slo="availability",kind="availability",route="auto"'
    assert got[f'sluice_budget_alert{{{who},severity="page"}}'] == 1 and got[f'sluice_budget_alert{{{who},severity="ticket"}}'] == 0
    assert got['sluice_budget_alert{slo="spend",kind="cost",severity="page"}'] == 0
    assert got['sluice_forecast_level{slo="spend",kind="cost"}'] == 1.5
    assert got[f"sluice_budget_predicted_ratio{{{who}}}"] == 0.2 and got["sluice_tenant_fairness"] == 0.8


def limit(tenant: str, scope: str = "tenant", kind: str = "requests", of: str | None = None, **more: float) -> dict[str, Any]:
    return {"tenant": tenant, "scope": scope, "kind": kind, "of": of, "amount": 60.0, "remaining": 30.0, "at_hand": 4.0, "used": 26.0,
            "refused": 3, **more}  # fmt: skip


def of_limits(*limits: dict[str, Any], **refused: int) -> dict[str, float]:
    return samples(Metrics().render({"local": {"tenants": {"known": len(limits), "refused": refused, "limits": list(limits)}}}))


def test_limits_of_tenants_are_told_by_tenant_scope_and_kind() -> None:
    got = of_limits(limit("acme"), limit("acme", "model", "usd", "strong", amount=5.0, remaining=0.5, refused=0), requests=3, usd=0)
    who, strong = 'tenant="acme",scope="tenant",kind="requests"', 'tenant="acme",scope="model",kind="usd",model="strong"'
    assert got[f"sluice_tenant_limit{{{who}}}"] == 60 and got[f"sluice_tenant_limit{{{strong}}}"] == 5
    assert got[f"sluice_tenant_limit_remaining{{{who}}}"] == 30 and got[f"sluice_tenant_limit_remaining{{{strong}}}"] == 0.5
    assert got[f"sluice_tenant_limit_at_hand{{{who}}}"] == 4
    assert got[f"sluice_tenant_limit_used_total{{{who}}}"] == 26
    assert got[f"sluice_tenant_limit_refusals_total{{{who}}}"] == 3 and got[f"sluice_tenant_limit_refusals_total{{{strong}}}"] == 0
    assert not any('"other"' in name for name in got)


def test_keys_are_no_labels_their_uses_are_summed_and_the_tightest_is_shown() -> None:
    got = of_limits(
        limit("acme", "key", of="aaaa", remaining=50.0), limit("acme", "key", of="bbbb", amount=600.0, remaining=60.0), requests=6
    )
    who = 'tenant="acme",scope="key",kind="requests"'
    assert (got[f"sluice_tenant_limit{{{who}}}"], got[f"sluice_tenant_limit_remaining{{{who}}}"]) == (600, 60)
    assert (got[f"sluice_tenant_limit_used_total{{{who}}}"], got[f"sluice_tenant_limit_refusals_total{{{who}}}"]) == (52, 6)
    assert not any("aaaa" in name or "bbbb" in name for name in got)


def test_refusals_of_limits_beyond_those_that_are_shown_are_counted_as_others() -> None:
    got = of_limits(limit("acme"), requests=10, tokens=2)
    assert got['sluice_tenant_limit_refusals_total{tenant="other",scope="other",kind="requests"}'] == 7
    assert got['sluice_tenant_limit_refusals_total{tenant="other",scope="other",kind="tokens"}'] == 2
    assert not any("tenant_limit" in name for name in of_limits())
