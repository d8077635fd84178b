"""What a model string means for a tenant."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.catalog import Catalog, Model, Right, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.edges.server.names import card, klass_of, listed, resolve

CHAT, EMBEDDINGS = Endpoint.CHAT, Endpoint.EMBEDDINGS


def model(name: str, **more) -> Model:
    return Model(name, Tariff(1, 1), 8000, (), **more)


ROUTER = Router("builtin", 0.5)
CATALOG = Catalog(
    models={"big": model("big", downgrade=True, downgrade_to=("small",)), "small": model("small"), "own": model("own")},
    routes={"auto": Route("auto", ("big", "small"), ROUTER), "a-b": Route("a-b", ("small",), ROUTER)},
    classes={"gold": TrafficClass("gold", 10, 1, 0), "std": TrafficClass("std", 3, 5, 1), "batch": TrafficClass("batch", 1, 60, 2)},
    tenants={},
)
PLAIN = Tenant("t", (), "std")
CHOOSER = Tenant("c", (), "std", may=frozenset({Right.CHOOSE_MODEL}))


def names(named) -> list[str]:
    return [m.name for m in named.candidates]


def reason(call) -> Reason:
    with pytest.raises(GatewayError) as caught:
        call()
    return caught.value.reason


def test_a_route_offers_its_models_in_order():
    named = resolve("auto", CHAT, CATALOG, PLAIN)
    assert (named.route, names(named), named.named, named.threshold) == ("auto", ["big", "small"], None, None)


def test_embeddings_of_a_route_stay_with_its_first_model():
    assert names(resolve("auto", EMBEDDINGS, CATALOG, PLAIN)) == ["big"]
    assert names(resolve("big", EMBEDDINGS, CATALOG, CHOOSER)) == ["big"]


def test_a_model_by_name_needs_the_right():
    assert reason(lambda: resolve("own", CHAT, CATALOG, PLAIN)) is Reason.NOT_ALLOWED
    named = resolve("own", CHAT, CATALOG, CHOOSER)
    assert (named.route, names(named), named.named) == ("own", ["own"], "own")


def test_a_named_model_is_downgraded_only_where_the_operator_lets_it_and_the_client_does_not_mind():
    assert names(resolve("big", CHAT, CATALOG, CHOOSER)) == ["big", "small"]
    assert names(resolve("big", CHAT, CATALOG, CHOOSER, keeps_model=True)) == ["big"]
    assert names(resolve("small", CHAT, CATALOG, CHOOSER)) == ["small"]


@pytest.mark.parametrize(
    ("text", "route", "threshold"),
    [
        ("router-auto-0.25", "auto", 0.25),
        ("router-a-b-0.5", "a-b", 0.5),
        ("router-mf-0.11593", "auto", 0.11593),
        ("router-auto-1", "auto", 1.0),
    ],
)
def test_a_router_with_a_threshold_means_its_route_or_the_first(text, route, threshold):
    named = resolve(text, CHAT, CATALOG, PLAIN)
    assert (named.route, named.threshold) == (route, threshold)


@pytest.mark.parametrize("text", ["router-auto-1.5", "router-auto", "router-auto-nan", "AUTO", "", "gpt-4o", "x" * 100_000, "router--"])
def test_everything_else_is_unknown_and_the_message_names_what_is_there(text):
    with pytest.raises(GatewayError) as caught:
        resolve(text, CHAT, CATALOG, PLAIN)
    error = caught.value
    assert error.reason is Reason.UNKNOWN_MODEL and error.param == "model"
    assert "auto" in error.message and "own" not in error.message and len(error.message) < 400


@given(st.text())
def test_no_string_breaks_it(text):
    try:
        resolve(text, CHAT, CATALOG, CHOOSER)
    except GatewayError as error:
        assert error.reason is Reason.UNKNOWN_MODEL


def test_a_class_can_be_lowered_by_anybody_and_raised_by_who_may():
    assert klass_of(None, CATALOG, PLAIN).name == "std"
    assert klass_of("batch", CATALOG, PLAIN).name == "batch"
    assert klass_of("std", CATALOG, PLAIN).name == "std"
    assert reason(lambda: klass_of("gold", CATALOG, PLAIN)) is Reason.NOT_ALLOWED
    assert reason(lambda: klass_of("lead", CATALOG, PLAIN)) is Reason.BAD_REQUEST
    raiser = Tenant("r", (), "std", may=frozenset({Right.RAISE_CLASS}))
    assert klass_of("gold", CATALOG, raiser).name == "gold"


def test_only_what_may_be_used_is_listed():
    assert list(listed(CATALOG, PLAIN)) == ["auto", "a-b"]
    assert list(listed(CATALOG, CHOOSER)) == ["auto", "a-b", "big", "small", "own"]


def test_a_card_has_openais_keys():
    for name in ("auto", "own"):
        assert {"id", "object", "created", "owned_by"} <= set(card(name, CATALOG)) and card(name, CATALOG)["id"] == name
    assert "router-auto-" in str(card("auto", CATALOG)["description"]) and "router" not in str(card("a-b", CATALOG)["description"])
