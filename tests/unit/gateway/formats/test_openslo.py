"""OpenSLO v1 documents, checked against the rules of the specification."""

import re
from typing import Any

import pytest
import yaml

from gateway.core.budget.slis.availability import Availability
from gateway.core.budget.slis.cost import Cost
from gateway.core.budget.slis.ttft import Ttft
from gateway.core.budget.slo import Period, SloSpec
from gateway.formats.openslo import openslo_yaml

DAY_S = 86_400.0
AVAILABILITY = SloSpec("Availability.EU", "availability", Availability.Options(), objective=0.999, window_s=28 * DAY_S)
FIRST_TOKEN = SloSpec(
    "first-token", "ttft", Ttft.Options(at_most=1.0), objective=0.95, period=Period("month", timezone="Europe/Berlin"), route="auto"
)
SPEND = SloSpec("spend", "cost", Cost.Options(usd=5000.0), period=Period("month"))
KINDS = {"DataSource", "SLO", "SLI", "AlertPolicy", "AlertCondition", "AlertNotificationTarget", "Service"}


@pytest.fixture
def documents() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(openslo_yaml([AVAILABILITY, FIRST_TOKEN, SPEND])))


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [d for d in documents if d["kind"] == kind]


def test_every_document_has_the_general_schema(documents: list[dict[str, Any]]) -> None:
    names = set()
    for document in documents:
        assert document.keys() == {"apiVersion", "kind", "metadata", "spec"}
        assert document["apiVersion"] == "openslo/v1"
        assert document["kind"] in KINDS
        assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", document["metadata"]["name"])
        names.add((document["kind"], document["metadata"]["name"]))
    assert len(names) == len(documents)


def test_an_slo_has_one_window_one_target_and_a_ratio_of_counters(documents: list[dict[str, Any]]) -> None:
    slos = of_kind(documents, "SLO")
    assert [s["metadata"]["displayName"] for s in slos] == ["Availability.EU", "first-token"]
    for slo in slos:
        spec = slo["spec"]
        assert spec["service"] == "sluice"
        assert len(spec["timeWindow"]) == 1
        assert spec["budgetingMethod"] == "Occurrences"
        assert 0 <= spec["objectives"][0]["target"] < 1
        ratio = spec["indicator"]["spec"]["ratioMetric"]
        assert ratio["counter"] is True
        assert {"bad", "total"} <= ratio.keys()
        assert "rate(" not in ratio["bad"]["metricSource"]["spec"]["query"]
    assert slos[0]["spec"]["timeWindow"] == [{"duration": "4w", "isRolling": True}]
    window = slos[1]["spec"]["timeWindow"][0]
    assert (window["duration"], window["isRolling"], window["calendar"]["timeZone"]) == ("1M", False, "Europe/Berlin")


def test_policies_hold_one_burn_rate_condition_and_are_those_that_the_slo_names(documents: list[dict[str, Any]]) -> None:
    policies = {d["metadata"]["name"]: d["spec"] for d in of_kind(documents, "AlertPolicy")}
    referred = [p["alertPolicyRef"] for s in of_kind(documents, "SLO") for p in s["spec"]["alertPolicies"]]
    assert sorted(policies) == sorted(referred)
    for spec in policies.values():
        assert len(spec["conditions"]) == 1
        condition = spec["conditions"][0]["spec"]["condition"]
        assert condition["kind"] == "burnrate"
        assert condition["op"] == "gte"
        assert re.fullmatch(r"[0-9]+[mhdw]", condition["lookbackWindow"])
    assert policies["availability-eu-page-1h-5m"]["conditions"][0]["spec"]["condition"]["threshold"] == pytest.approx(13.44)


def test_what_cannot_be_said_is_named_in_a_comment() -> None:
    assert "# Not expressible as a ratio of counters: spend (cost)." in openslo_yaml([AVAILABILITY, SPEND])
    assert "Not expressible" not in openslo_yaml([AVAILABILITY])
