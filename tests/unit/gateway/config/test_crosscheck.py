"""Tests of what is wrong between sections."""

from collections.abc import Callable

import pytest

from gateway.config.crosscheck import is_loopback, names_in, parse_listen

Complaints = Callable[..., list[str]]
KEY = "sha256:" + "ab" * 32


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:8080", ("127.0.0.1", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("gateway.internal:80", ("gateway.internal", 80)),
        ("::1:80", None),
        (":80", None),
        ("localhost", None),
        ("a:70000", None),
        ("a:-1", None),
        ("a b:80", None),
        ("a:٣", None),
        ("", None),
    ],
)
def test_addresses_are_host_and_port(text: str, parsed: tuple[str, int] | None) -> None:
    assert parse_listen(text) == parsed


def test_only_this_machine_reaches_loopback() -> None:
    assert all(is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "localhost"))
    assert not any(is_loopback(host) for host in ("0.0.0.0", "10.0.0.1", "::", "gateway.internal"))


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            "slos: [{name: a, sli: availability, objective: 0.9, window: 1d, for: {route: atuo}}]\n",
            "slos[0].for.route: unknown route 'atuo'",
        ),
        ("tenants: [{name: t, keys: ['" + KEY + "'], class: gold}]\n", "tenants[0].class: unknown class 'gold', known classes: standard"),
        ("pricing: {priority: [x]}\n", "pricing.priority[0]: unknown SLO 'x', there are no SLOs"),
        (
            "pricing: {tick: 2m}\nslos: [{name: a, sli: availability, objective: 0.9, window: 1m}]\n",
            "slos[0].window: shorter than the tick of 120s",
        ),
        (
            "pricing: {tick: 2h}\nslos: [{name: a, sli: availability, objective: 0.9, period: calendar-hour}]\n",
            "slos[0].period: shorter than the tick",
        ),
        ("classes: []\n", "classes: at least one is needed"),
        ("store: {url: 'http://x'}\n", "store.url: write embedded or memory"),
        ("server: {listen: '127.0.0.1:8081'}\n", "admin.listen: the admin port is the data port"),
        ("server: {listen: '[::]:8081'}\n", "admin.listen: the admin port is the data port"),
        ("admin: {listen: '10.0.0.1:8081'}\n", "admin: anybody who reaches 10.0.0.1 could read it"),
        ("tenants: [{name: t}]\n", "tenants[0].keys: no key"),
        (
            "tenants: [{name: t, keys: ['" + KEY + "'], model_limits: [{model: stong, rpm: 5}]}]\n",
            "tenants[0].model_limits[0].model: unknown model 'stong'",
        ),
        ("tenants: [{name: t, keys: ['" + KEY + "'], limits: {rpm: 0}}]\n", "tenants[0].limits.rpm: 0 is less than 1"),
        ("tenants: [{name: t, keys: ['" + KEY + "'], limits: {rpm: -5}}]\n", "tenants[0].limits.rpm: -5 is less than 1"),
        (
            "tenants: [{name: t, keys: ['" + KEY + "'], key_limits: [{rpm: 5}]}]\n",
            "tenants[0].key_limits[0].key: a required key is missing",
        ),
        (
            "tenants: [{name: t, keys: ['" + KEY + "', '" + KEY.upper().replace("SHA", "sha") + "']}]\n",
            "tenants[0].keys[1]: this key belongs to this tenant already",
        ),
    ],
)
def test_what_is_wrong_between_sections_is_said_once(complaints_of: Complaints, more: str, complaint: str) -> None:
    found = complaints_of(more)
    assert len(found) == 1
    assert found[0].startswith(complaint)


@pytest.mark.parametrize(
    "more",
    [
        "server: {listen: '127.0.0.1:0'}\nadmin: {listen: '127.0.0.1:0'}\n",
        "server: {listen: '10.0.0.1:8081'}\n",
        "admin: {listen: '0.0.0.0:8081', token: t}\n",
        "store: {url: memory}\n",
        "store: {url: 'rediss://a/0'}\n",
        "tenants: [{name: t, keys: ['" + KEY + "']}, {name: open}]\n",
    ],
)
def test_what_goes_together_is_right(complaints_of: Complaints, more: str) -> None:
    assert complaints_of(more) == []


def test_a_window_may_be_one_tick(complaints_of: Complaints) -> None:
    assert complaints_of("pricing: {tick: 1m}\nslos: [{name: a, sli: availability, objective: 0.9, window: 1m}]\n") == []


def test_the_case_of_a_digest_does_not_hide_that_two_tenants_share_a_key(complaints_of: Complaints) -> None:
    said = complaints_of("tenants: [{name: t, keys: ['sha256:" + "AB" * 32 + "']}, {name: u, keys: ['" + KEY + "']}]\n")
    assert said == ["tenants[1].keys[0]: this key belongs to another tenant too"]


def test_a_gateway_that_nobody_could_use_is_refused(complaints_of: Complaints, minimal: str) -> None:
    closed = minimal.replace("auth: none\n", "")
    assert [c.split(":")[0] for c in complaints_of(base=closed)] == ["auth"]
    assert complaints_of(f"tenants: [{{name: t, keys: ['{KEY}']}}]\n", base=closed) == []
    assert "tenants[0].keys: no key" in complaints_of("tenants: [{name: open}]\n", base=closed)[-1]


def test_a_downgrade_needs_a_cheaper_model(complaints_of: Complaints, minimal: str) -> None:
    assert complaints_of(base=minimal.replace("128000\n", "128000\n    downgrade: true\n")) == []
    assert complaints_of(base=minimal.replace("32000\n", "32000\n    downgrade: true\n")) == [
        "models[1].downgrade: no cheaper model is written after this one"
    ]


def test_an_item_that_cannot_be_read_still_has_its_name(complaints_of: Complaints, minimal: str) -> None:
    assert complaints_of(base=minimal.replace("tariff: {input_usd_per_mtok: 2.5,", "tariff: {input: 2.5,")) != []
    assert not any("routes" in c for c in complaints_of(base=minimal.replace("input_usd_per_mtok: 2.5,", "")))


def test_names_are_known_for_lists_only() -> None:
    names = names_in({"models": [{"name": "a"}, {"name": 5}, "x", {}], "routes": 5})
    assert names["models"] == [(("models", 0), "a")]
    assert "routes" not in names
    assert names["slos"] == []
    assert [name for _, name in names["classes"]] == ["standard"]


def test_more_slos_than_can_be_judged_are_refused(complaints_of: Complaints) -> None:
    line = "  - {name: s%d, sli: availability, objective: 0.9, window: 1d}\n"
    assert complaints_of("slos:\n" + "".join(line % i for i in range(200))) == []
    assert complaints_of("slos:\n" + "".join(line % i for i in range(201))) == ["slos: more than 200 SLOs"]
