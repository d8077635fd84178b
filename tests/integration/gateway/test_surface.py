"""What clients see around the answers: names, rights, keys, headers, paths, health, feedback."""

import pytest

ASK = {"model": "auto", "messages": [{"role": "user", "content": "hello"}]}
KEY = "acme-key"


@pytest.fixture
async def session():
    import aiohttp

    async with aiohttp.ClientSession() as made:
        yield made


async def post(session, gateway, body, path="/chat/completions", **headers):
    async with session.post(gateway.url + path, json=body, headers=headers) as response:
        return response.status, response.headers, await response.json(content_type=None)


async def get(session, gateway, path, method="GET"):
    async with session.request(method, gateway.url.removesuffix("/v1") + path) as response:
        return response.status, response.headers, await response.read()


async def test_an_unknown_model_is_404_with_the_names_that_would_do(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    status, headers, answer = await post(session, gateway, {**ASK, "model": "gpt-99"})
    assert status == 404 and answer["error"]["code"] == "model_not_found" and answer["error"]["param"] == "model"
    assert "auto" in answer["error"]["message"] and "strong" in answer["error"]["message"]
    assert headers["x-request-id"].startswith("req_") and headers["x-should-retry"] == "false"
    assert gateway.books.away == ["model_not_found"] and gateway.books.total("end.model_not_found") == 1


async def test_a_model_by_name_needs_the_right_and_then_answers_itself(backends, gateways, session):
    strong, weak = await backends(), await backends()
    gateway = await gateways([strong.url], [weak.url], may="[]")
    status, _, answer = await post(session, gateway, {**ASK, "model": "strong"})
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    gateway = await gateways([strong.url], [weak.url], may="[choose_model]")
    for _ in range(5):
        status, headers, _ = await post(session, gateway, {**ASK, "model": "strong"})
        assert (status, headers["x-sluice-model"]) == (200, "strong")
    assert gateway.books.line()["named"] == "strong"


async def test_a_threshold_in_the_name_moves_the_choice_for_who_may_and_only_down_for_others(backends, gateways, session):
    strong, weak = await backends(), await backends()
    may = await gateways([strong.url], [weak.url], may="[threshold, debug]")
    may_not = await gateways([strong.url], [weak.url], may="[debug]")
    assert (await post(session, may, {**ASK, "model": "router-auto-0.0"}))[1]["x-sluice-model"] == "strong"
    assert (await post(session, may, {**ASK, "model": "router-mf-1.0"}))[1]["x-sluice-model"] == "weak"
    assert (await post(session, may_not, {**ASK, "model": "router-auto-1.0"}))[1]["x-sluice-model"] == "weak"
    plain = (await post(session, may_not, ASK))[1]["x-sluice-threshold"]
    assert float((await post(session, may_not, {**ASK, "model": "router-auto-0.0"}))[1]["x-sluice-threshold"]) == pytest.approx(
        float(plain), abs=0.05
    )


async def test_a_class_can_be_lowered_and_not_raised(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    status, _, answer = await post(session, gateway, ASK, **{"x-sluice-class": "critical"})
    assert (status, answer["error"]["code"]) == (403, "not_allowed")
    assert (await post(session, gateway, ASK, **{"x-sluice-class": "standard"}))[0] == 200
    assert (await post(session, gateway, ASK, **{"x-sluice-class": "gold"}))[0] == 400
    raising = await gateways([(await backends()).url], may="[raise_class]")
    assert (await post(session, raising, ASK, **{"x-sluice-class": "critical"}))[0] == 200
    assert raising.books.line()["class"] == "critical"


async def test_keys_decide_the_tenant(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    for headers, tenant in (
        ({"Authorization": f"Bearer {KEY}"}, "acme"),
        ({"x-api-key": KEY}, "acme"),
        ({}, "open"),
        ({"Authorization": "Bearer no"}, "open"),
    ):
        status, answer_headers, _ = await post(session, gateway, ASK, **headers)
        assert status == 200 and gateway.books.line()["tenant"] == tenant
        assert ("x-sluice-threshold" in answer_headers) == (tenant == "open"), "only who may debug sees more"


async def test_without_a_key_nothing_is_answered_where_keys_are_needed(backends, gateways, session):
    backend = await backends()
    gateway = await gateways([backend.url])
    gateway.runtime.directory._open = None
    status, headers, answer = await post(session, gateway, ASK)
    assert (status, answer["error"]["code"]) == (401, "missing_api_key") and headers["www-authenticate"] == "Bearer"
    status, _, answer = await post(session, gateway, ASK, Authorization="Bearer wrong")
    assert (status, answer["error"]["code"]) == (401, "invalid_api_key") and "wrong" not in answer["error"]["message"]
    assert (await post(session, gateway, ASK, Authorization=f"bearer {KEY}"))[0] == 200
    assert len(backend.seen) == 1
    assert (await get(session, gateway, "/v1/models"))[0] == 401


async def test_default_headers_tell_the_way_and_debug_headers_the_reasons(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    _, headers, _ = await post(session, gateway, ASK)
    told = {k.lower() for k in headers if k.lower().startswith("x-sluice")}
    assert told == {f"x-sluice-{n}" for n in "model reason attempts overhead-ms threshold win-rate backend cost-usd prices-version".split()}
    assert 0 < float(headers["x-sluice-overhead-ms"]) < 100
    assert float(headers["x-sluice-cost-usd"]) == pytest.approx(gateway.books.usd[-1], abs=1e-9)
    plain = await gateways([(await backends()).url], may="[]")
    _, headers, _ = await post(session, plain, ASK)
    told = {k.lower() for k in headers if k.lower().startswith("x-sluice")}
    assert told == {f"x-sluice-{n}" for n in "model reason attempts overhead-ms".split()}


async def test_the_models_of_a_tenant_are_listed_in_openais_shape(backends, gateways, session):
    import json

    gateway = await gateways([(await backends()).url], may="[choose_model]")
    status, _, body = await get(session, gateway, "/v1/models")
    cards = json.loads(body)
    assert status == 200 and cards["object"] == "list" and [c["id"] for c in cards["data"]] == ["auto", "one", "strong", "weak"]
    assert all(c["object"] == "model" and isinstance(c["created"], int) and c["owned_by"] for c in cards["data"])
    assert json.loads((await get(session, gateway, "/v1/models/strong"))[2])["id"] == "strong"
    assert (await get(session, gateway, "/v1/models/none"))[0] == 404
    other = await gateways([(await backends()).url], may="[]")
    assert [c["id"] for c in json.loads((await get(session, other, "/v1/models"))[2])["data"]] == ["auto", "one"]
    assert (await get(session, other, "/v1/models/strong"))[0] == 404


async def test_unknown_paths_and_methods_are_refused_in_openais_shape(backends, gateways, session):
    import json

    gateway = await gateways([(await backends()).url])
    status, _, body = await get(session, gateway, "/v1/images/generations")
    assert (status, json.loads(body)["error"]["code"]) == (404, "unknown_path")
    status, headers, body = await get(session, gateway, "/v1/chat/completions")
    assert (status, headers["Allow"], json.loads(body)["error"]["code"]) == (405, "POST", "method_not_allowed")
    for path in ("/metrics", "/admin/state", "/", "/v1/../admin/state", "/v1/chat/completions/"):
        assert (await get(session, gateway, path))[0] == 404


async def test_broken_bodies_are_refused_with_the_place(backends, gateways, session):
    backend = await backends()
    gateway = await gateways([backend.url])
    for body, code in (
        (b"{", "invalid_json"),
        (b"[]", "invalid_request"),
        (b'{"messages":[]}', "invalid_request"),
        (b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}', "ambiguous_request"),
        (b"", "invalid_json"),
    ):
        async with session.post(gateway.url + "/chat/completions", data=body) as response:
            assert response.status == 400 and (await response.json())["error"]["code"] == code, body
    assert not backend.seen


async def test_a_prompt_that_fits_no_context_is_refused_before_it_is_sent(backends, gateways, session):
    backend = await backends()
    gateway = await gateways([backend.url])
    status, headers, answer = await post(session, gateway, {**ASK, "messages": [{"role": "user", "content": "word " * 20_000}]})
    assert (status, answer["error"]["code"]) == (400, "context_length_exceeded") and headers["x-sluice-attempts"] == "0"
    assert not backend.seen and gateway.books.outcomes[-1].reason.value == "context_length_exceeded"


async def test_health_needs_no_key_and_no_store(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    for path in ("/health", "/health/liveness", "/health/readiness"):
        assert (await get(session, gateway, path))[0] == 200
    status, headers, body = await get(session, gateway, "/health", method="HEAD")
    assert (status, body) == (200, b"") and int(headers["content-length"]) > 0
    gateway.runtime = None
    assert (await get(session, gateway, "/health/readiness"))[0] == 503
    assert (await get(session, gateway, "/health/liveness"))[0] == 200
    status, headers, _ = await post(session, gateway, ASK)
    assert status == 503 and "retry-after" in headers


async def test_feedback_is_checked_and_queued(backends, gateways, session):
    gateway = await gateways([(await backends()).url])
    for body, status in (
        ({"request_id": "req_111111111111111111111111", "verdict": "good"}, 202),
        ({"request_id": "req_111111111111111111111111", "score": 0.25}, 202),
        ({"request_id": "req_111111111111111111111111"}, 400),
        ({"request_id": "req_111111111111111111111111", "verdict": "fine"}, 400),
        ({"request_id": "req_111111111111111111111111", "score": 1.5}, 400),
        ({"request_id": "", "verdict": "bad"}, 400),
        ({"request_id": "req_111111111111111111111111", "verdict": "bad", "comment": "the prompt was ..."}, 400),
        ({"verdict": "bad"}, 400),
    ):
        assert (await post(session, gateway, body, "/feedback", Authorization=f"Bearer {KEY}"))[0] == status, body
    written = []

    class Kept:
        async def feedback(self, *verdict):
            written.append(verdict[:3])

    assert await gateway.port.feedback.flush(Kept()) == 2
    known = "req_111111111111111111111111"
    assert written == [(known, "acme", {"verdict": "good"}), (known, "acme", {"score": 0.25})]


async def test_requests_in_flight_finish_on_the_runtime_they_began_with(backends, gateways, session):
    import asyncio

    from gateway.assemble import build
    from gateway.config.load import load
    from gateway.edges.scoring.scorer import Scoring

    old, new = await backends(), await backends()
    go = asyncio.Event()

    async def waits(wire, _seen):
        await go.wait()
        await wire.json(200, b'{"choices":[{"message":{"content":"old"}}]}')

    old.script = waits
    gateway = await gateways([old.url])
    before = asyncio.ensure_future(post(session, gateway, {**ASK, "model": "one"}))
    while not old.seen:
        await asyncio.sleep(0.01)
    yaml = f"""
auth: none
models:
  - name: other
    tariff: {{input_usd_per_mtok: 1, output_usd_per_mtok: 1}}
    context_tokens: 8000
    backends: [{{url: "{new.url}", model: n}}]
routes: [{{name: fresh, models: [other]}}]
"""
    gateway.runtime = build(load("gateway.yaml", {}, yaml.encode()), gateway.state, Scoring(), 2, gateway.runtime)
    assert (await post(session, gateway, {**ASK, "model": "fresh"}))[0] == 200
    assert (await post(session, gateway, {**ASK, "model": "one"}))[0] == 404
    go.set()
    status, headers, answer = await before
    assert (status, answer["choices"][0]["message"]["content"], headers["x-sluice-model"]) == (200, "old", "strong")
