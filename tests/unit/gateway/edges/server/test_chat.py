"""From headers and a body to facts."""

from hashlib import sha256

import pytest
from multidict import CIMultiDict

from gateway.core.budget.slis.quality import Quality
from gateway.core.budget.slo import SloSpec, build
from gateway.core.dispatcher import Dispatcher
from gateway.core.state import State
from gateway.core.tenants.directory import Directory
from gateway.domain.catalog import Catalog, Limits, Model, Right, Route, Router, Tariff, Tenant, TrafficClass
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import Endpoint
from gateway.edges.chance import SystemChance
from gateway.edges.server.chat import ID_CHARS_MAX, caller_of, client_request_id, facts_of, limited_key, tenant_of
from gateway.wire.request import decode


class Running:
    """One config version."""

    generation = 1

    def __init__(self, is_open: bool = False) -> None:
        models = {name: Model(name, Tariff(1, 1), 8000, ()) for name in ("big", "small")}
        digest = sha256(b"key").hexdigest()
        may = frozenset({Right.THRESHOLD})
        tenants = {"acme": Tenant("acme", (digest,), "std", may=may), "open": Tenant("open", (), "std")}
        classes = {"std": TrafficClass("std", 3, 5, 0), "batch": TrafficClass("batch", 1, 60, 1)}
        routes = {"auto": Route("auto", ("big", "small"), Router("builtin", 0.5))}
        self.catalog = Catalog(models, routes, classes, tenants, "open" if is_open else None)
        self.dispatcher = Dispatcher(self.catalog, (), {}, State())
        self.directory = Directory(self.catalog)


def headers(**named: str) -> CIMultiDict[str]:
    return CIMultiDict({name.replace("_", "-"): text for name, text in named.items()})


CHANCE = SystemChance(b"secret")


def facts(body: bytes, endpoint: Endpoint = Endpoint.CHAT, request_id: str = "req_1", **named: str):
    running = Running()
    caller = caller_of(headers(Authorization="Bearer key", **named), running)
    return facts_of(decode(endpoint, body), caller, running, request_id, 12.5, CHANCE, 1e9)


CHAT = b'{"model":"%b","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"%b"}]}'


@pytest.mark.parametrize(
    "named",
    [
        {"Authorization": "Bearer key"},
        {"authorization": "bearer  key "},
        {"x-api-key": "key"},
        {"Authorization": "Basic a", "x-api-key": "key"},
    ],
)
def test_a_key_is_found_in_either_header(named):
    assert tenant_of(CIMultiDict(named), Running().directory).name == "acme"


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        ({}, Reason.MISSING_KEY),
        ({"Authorization": "Bearer "}, Reason.MISSING_KEY),
        ({"Authorization": "key"}, Reason.MISSING_KEY),
        ({"Authorization": "Bearer KEY"}, Reason.UNKNOWN_KEY),
        ({"Authorization": "Bearer \udcff"}, Reason.UNKNOWN_KEY),
        ({"Authorization": "Bearer " + sha256(b"key").hexdigest()}, Reason.UNKNOWN_KEY),
    ],
)
def test_no_key_and_a_wrong_one_are_told_apart_and_neither_is_repeated(named, reason):
    with pytest.raises(GatewayError) as caught:
        tenant_of(CIMultiDict(named), Running().directory)
    assert caught.value.reason is reason and "KEY" not in caught.value.message.replace("Bearer KEY", "")


def test_where_keys_are_not_needed_a_known_one_still_counts():
    directory = Running(is_open=True).directory
    assert tenant_of(headers(), directory).name == "open"
    assert tenant_of(headers(Authorization="Bearer sk-any"), directory).name == "open"
    assert tenant_of(headers(Authorization="Bearer key"), directory).name == "acme"


def test_facts_carry_what_the_core_decides_on():
    made = facts(CHAT % (b"router-auto-0.3", b"word " * 100), x_sluice_class="batch")
    assert (made.tenant, made.route, made.klass.name, made.client_threshold, made.may_set_threshold) == ("acme", "auto", "batch", 0.3, True)
    assert (made.is_streaming, made.tokens_max, made.arrived_s, made.prompt_bytes) == (True, 9, 12.5, 500)
    assert made.prompt_tokens == 125, "a quarter token per byte before anything is learned"


def test_a_caller_is_what_the_head_says_under_one_configuration():
    named = {"x-sluice-class": "batch", "x-sluice-no-downgrade": "true", "x-request-id": "mine", "x-api-key": "key"}
    caller = caller_of(CIMultiDict(named), Running())
    assert (caller.tenant.name, caller.klass.name, caller.keeps_model, caller.client_request_id) == ("acme", "batch", True, "mine")
    assert (caller.generation, caller.may_set_threshold, caller.is_debugged, caller.key) == (1, True, False, None)
    with pytest.raises(GatewayError) as caught:
        caller_of(CIMultiDict({**named, "x-sluice-class": "royal"}), Running())
    assert caught.value.reason is Reason.BAD_REQUEST


def test_token_ids_are_counted_and_not_guessed():
    made = facts(b'{"model":"auto","prompt":[1,2,3,4]}', Endpoint.COMPLETIONS)
    assert made.prompt_tokens == 4


def test_draws_are_steady_for_a_conversation_and_fresh_for_a_probe():
    first, later = facts(CHAT % (b"auto", b"hello")), facts(CHAT % (b"auto", b"hello"), request_id="req_2")
    other = facts(CHAT % (b"auto", b"goodbye"))
    assert first.draws[0] == later.draws[0] != other.draws[0]
    assert first.draws[1] == other.draws[1] != later.draws[1]


def test_embeddings_never_stream():
    assert not facts(b'{"model":"auto","input":"x","stream":true}', Endpoint.EMBEDDINGS).is_streaming


def test_a_clients_own_request_id_is_shortened():
    assert client_request_id(headers(x_request_id="r" * 1000)) == "r" * ID_CHARS_MAX
    assert client_request_id(headers()) is None


def test_an_id_is_sealed_where_verdicts_on_its_answer_count():
    running = Running()
    slos = build([SloSpec("quality", "quality", Quality.Options(), 0.9, 86_400.0, route="auto")])
    running.dispatcher = Dispatcher(running.catalog, slos, {}, State())
    fresh, caller = CHANCE.request_id(), caller_of(headers(Authorization="Bearer key"), running)
    made = facts_of(decode(Endpoint.CHAT, CHAT % (b"auto", b"hi")), caller, running, fresh, 12.5, CHANCE, 1e9)
    assert CHANCE.opened(made.request_id, "acme", "auto") == 1e9 and made.request_id[12:22] == fresh[4:14]
    assert facts(CHAT % (b"auto", b"hi"), request_id=fresh).request_id == fresh


def test_a_key_is_named_where_it_has_limits_of_its_own():
    digest, other = sha256(b"key").hexdigest(), sha256(b"other").hexdigest()
    limited = Tenant("acme", (digest, other), "standard", key_limits={digest: Limits(rpm=1)})
    assert limited_key(limited, headers(Authorization="Bearer key")) == digest
    assert limited_key(limited, headers(Authorization="Bearer other")) is None
    assert limited_key(Tenant("acme", (digest,), "standard"), headers(Authorization="Bearer key")) is None
    assert limited_key(limited, headers()) is None
