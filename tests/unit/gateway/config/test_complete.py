"""Tests of defaults that follow from other sections."""

from collections.abc import Callable

from gateway.config.complete import OPEN_TENANT, cheaper_than, complete
from gateway.config.load import Config
from gateway.config.offer import BackendSection, ModelSection, TariffSection

Configure = Callable[..., Config]


def test_engines_are_self_hosted_and_hosted_apis_are_not(configure: Configure) -> None:
    strong, weak = configure().sections.models
    assert (strong.backends[0].engine, strong.backends[0].self_hosted) == ("vllm", True)
    assert (weak.backends[0].engine, weak.backends[0].self_hosted) == ("openai", False)


def test_backends_get_a_name_from_model_and_address(configure: Configure) -> None:
    assert [m.backends[0].name for m in configure().sections.models] == ["strong@a:8000", "weak@b:8000"]


def test_priority_is_the_order_of_the_slos_unless_written(configure: Configure) -> None:
    slos = "slos:\n  - {name: a, sli: availability, objective: 0.9, window: 1d}\n  - {name: b, sli: {kind: cost, usd: 5}, window: 1d}\n"
    assert configure(slos).pricing.priority == ("a", "b")
    assert configure(slos + "pricing: {priority: [b, a]}\n").pricing.priority == ("b", "a")


def test_an_exhausted_cost_budget_goes_cheapest_and_a_calendar_is_utc(configure: Configure) -> None:
    slo = configure("slos: [{name: b, sli: {kind: cost, usd: 5}, period: calendar-day}]\n").sections.slos[0]
    assert (slo.on_exhausted, slo.timezone) == ("cheapest", "UTC")


def test_everybody_without_a_key_is_of_the_least_valuable_class_and_has_no_rights(configure: Configure) -> None:
    classes = "classes: [{name: low, value: 1, ttft_deadline: 1s}, {name: high, value: 9, ttft_deadline: 1s}]\n"
    catalog = configure(classes).catalog
    assert catalog.open_tenant == OPEN_TENANT
    assert (catalog.tenants[OPEN_TENANT].klass, catalog.tenants[OPEN_TENANT].may) == ("low", frozenset())


def test_a_written_open_tenant_is_kept(configure: Configure) -> None:
    config = configure(f"tenants: [{{name: {OPEN_TENANT}, limits: {{rpm: 7}}}}]\n")
    assert config.catalog.tenants[OPEN_TENANT].limits.rpm == 7
    assert len(config.catalog.tenants) == 1


def test_what_is_complete_stays_as_it_is(configure: Configure) -> None:
    sections = configure("slos: [{name: b, sli: {kind: cost, usd: 5}, period: calendar-day}]\n").sections
    assert complete(sections) == sections


def test_cheaper_models_are_those_after_it_that_cost_less() -> None:
    def model(name: str, usd_in: float, usd_out: float) -> ModelSection:
        return ModelSection(name, TariffSection(usd_in, usd_out), 10, (BackendSection("http://a/v1", "m"),))

    cheap_before, strong = model("before", 0.1, 0.1), model("strong", 2, 10)
    mixed, same, half = model("mixed", 1, 20), model("same", 2, 10), model("half", 2, 5)
    models = (cheap_before, strong, mixed, same, half)
    assert cheaper_than(strong, models) == ("half",)
    assert cheaper_than(half, models) == ()
