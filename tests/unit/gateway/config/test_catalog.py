"""Tests of sections becoming the domain's words."""

from collections.abc import Callable

from gateway.config.catalog import plain
from gateway.config.load import Config
from gateway.config.references import Expanded
from gateway.core.budget.slo import Period
from gateway.core.pricing.laws.static import StaticLaw
from gateway.domain.catalog import Limits, Right, Secret
from gateway.edges.server.options import AdminOptions

Configure = Callable[..., Config]
DIGEST = "ab" * 32


def test_models_keep_the_operators_order_and_urls_lose_their_last_slash(configure: Configure) -> None:
    catalog = configure().catalog
    assert list(catalog.models) == ["strong", "weak"]
    assert catalog.models["weak"].backends[0].url == "http://b:8000/v1"
    assert catalog.models["weak"].tariff.usd(1_000_000, 1_000_000) == 0.75


def test_classes_are_ranked_by_value(configure: Configure) -> None:
    classes = "classes:\n" + "".join(
        f"  - {{name: {n}, value: {v}, ttft_deadline: 1s}}\n" for n, v in (("standard", 3), ("critical", 10), ("batch", 1))
    )
    catalog = configure(classes).catalog
    assert {c.name: c.rank for c in catalog.classes.values()} == {"critical": 0, "standard": 1, "batch": 2}


def test_tenants_hold_bare_digests_and_rights(configure: Configure) -> None:
    tenant = configure(f"tenants: [{{name: t, keys: ['sha256:{DIGEST.upper()}'], may: [debug, choose_model]}}]\n").catalog.tenants["t"]
    assert tenant.key_digests == (DIGEST,)
    assert tenant.may == {Right.DEBUG, Right.CHOOSE_MODEL}


def test_a_downgrade_knows_where_it_may_go(configure: Configure, minimal: str) -> None:
    catalog = configure(base=minimal.replace("128000\n", "128000\n    downgrade: true\n")).catalog
    assert catalog.models["strong"].downgrade_to == ("weak",)
    assert catalog.models["weak"].downgrade_to == ()


def test_an_slo_has_a_window_or_a_period(configure: Configure) -> None:
    rolling, calendar, fixed = configure(
        "slos:\n"
        "  - {name: a, sli: {kind: ttft, at_most: 800ms}, objective: 0.95, window: 7d, for: {route: auto}}\n"
        "  - {name: b, sli: {kind: cost, usd: 5}, period: calendar-month, timezone: Europe/Berlin}\n"
        "  - {name: c, sli: {kind: cost, usd: 5}, period: 8h, anchor: 1970-01-01T06:00:00Z, on_exhausted: alert}\n"
    ).slos
    assert (rolling.window_s, rolling.period, rolling.route, rolling.options.at_most) == (604_800.0, None, "auto", 0.8)
    assert (calendar.window_s, calendar.period, calendar.on_exhausted) == (None, Period("month", timezone="Europe/Berlin"), "cheapest")
    assert (fixed.period, fixed.on_exhausted) == (Period("fixed", 28_800.0, 21_600.0), "alert")


def test_a_law_comes_with_its_own_options(configure: Configure) -> None:
    pricing = configure("pricing: {law: {kind: static, threshold: 0.4}, tick: 2s}\n").pricing
    assert (pricing.law, pricing.law_options, pricing.tick) == ("static", StaticLaw.Options(0.4), 2.0)


def test_text_from_references_becomes_plain_text_and_secrets_stay_secret(configure: Configure, minimal: str) -> None:
    base = minimal.replace("engine: vllm", 'engine: vllm, api_key: "${KEY}", labels: {region: "${REGION}"}').replace("a:8000", "${HOST}")
    backend = configure(environ={"KEY": "hunter2", "REGION": "eu", "HOST": "h:1"}, base=base).catalog.models["strong"].backends[0]
    assert (backend.url, backend.labels, backend.id) == ("http://h:1/v1", {"region": "eu"}, "strong@h:1")
    assert type(backend.url) is str and type(backend.labels["region"]) is str
    assert isinstance(backend.api_key, Secret) and backend.api_key.reveal() == "hunter2"


def test_options_of_other_rooms_hold_plain_text() -> None:
    options = plain(AdminOptions(Expanded("127.0.0.1:1", "${A}"), Secret("hunter2")))
    assert type(options.listen) is str
    assert isinstance(options.token, Secret)


def test_limits_of_keys_and_models_are_found_by_bare_digest_and_by_name(configure: Configure) -> None:
    key = f"sha256:{DIGEST.upper()}"
    more = f"limits: {{rpm: 9}}, key_limits: [{{key: '{key}', tpm: 7}}], model_limits: [{{model: {{MODEL}}, usd_per_day: 0.5}}]"
    name = next(iter(configure().catalog.models))
    tenant = configure(f"tenants: [{{name: t, keys: ['{key}'], {more.replace('{MODEL}', name)}}}]\n").catalog.tenants["t"]
    assert (tenant.limits, tenant.key_limits, tenant.model_limits) == (
        Limits(rpm=9),
        {DIGEST: Limits(tpm=7)},
        {name: Limits(usd_per_day=0.5)},
    )
