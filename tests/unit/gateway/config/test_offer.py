"""Tests of models, backends and routes as they are written."""

from typing import get_args, get_type_hints

import pytest

from gateway.config.offer import BackendSection, ModelSection, RouterSection, RouteSection, TariffSection
from gateway.edges.upstream.engines.registry import ENGINES

TARIFF = TariffSection(1.0, 2.0)
BACKEND = BackendSection("http://a:8000/v1", "m")


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://gpu-1:8000/v1", "gpu-1:8000"),
        ("https://api.example.com/v1", "api.example.com:443"),
        ("http://a/v1", "a:80"),
        ("http://[::1]:9/v1", "[::1]:9"),
    ],
)
def test_a_backends_address_has_its_port(url: str, address: str) -> None:
    backend = BackendSection(url, "m")
    assert list(backend.problems()) == []
    assert backend.address == address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "gpu-1:8000",
        "ftp://a/v1",
        "http://",
        "http://a:0/v1",
        "http://a:99999/v1",
        "http://u:p@a/v1",
        "http://a/v1?k=1",
        "http://a/#x",
        "http://a/ b",
    ],
)
def test_urls_that_no_client_could_use_are_refused(url: str) -> None:
    assert [p.path for p in BackendSection(url, "m").problems()] == [("url",)]


def test_a_url_with_credentials_is_not_repeated() -> None:
    assert "hunter2" not in next(BackendSection("http://u:hunter2@a/v1", "m").problems()).message


def test_problems_of_parts_have_their_path_from_the_whole() -> None:
    model = ModelSection("two words", TariffSection(-1.0, 2.0, -0.5), 10, (BACKEND, BackendSection("x", "", name="?")))
    assert [p.path for p in model.problems()] == [
        ("name",),
        ("tariff", "input_usd_per_mtok"),
        ("tariff", "cached_input_usd_per_mtok"),
        ("backends", 1, "url"),
        ("backends", 1, "name"),
        ("backends", 1, "model"),
    ]


def test_a_model_needs_a_backend_and_a_route_a_model() -> None:
    assert [p.path for p in ModelSection("m", TARIFF, 10, ()).problems()] == [("backends",)]
    assert [p.path for p in RouteSection("r", ()).problems()] == [("models",)]
    assert [p.path for p in RouteSection("r", ("a", "b", "a")).problems()] == [("models", 2)]


def test_a_router_names_its_artifact_and_a_digest() -> None:
    assert list(RouterSection("routers/mine", "sha256:" + "0" * 64).problems()) == []
    assert [p.path for p in RouterSection("", "0" * 63).problems()] == [("sha256",), ("artifact",)]


def test_every_engine_family_can_be_written() -> None:
    assert set(get_args(get_type_hints(BackendSection)["engine"])) == set(ENGINES)


def test_a_free_model_is_right() -> None:
    assert list(TariffSection(0.0, 0.0).problems()) == []
