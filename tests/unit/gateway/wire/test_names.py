import pytest

from gateway.wire.names import ModelName, parse_model


@pytest.mark.parametrize(
    ("name", "router", "threshold"),
    [
        ("router-mf-0.11593", "mf", 0.11593),
        ("router-my-own-router-0.5", "my-own-router", 0.5),
        ("router-auto-0", "auto", 0.0),
        ("router-auto-1", "auto", 1.0),
        ("router-auto-1.0", "auto", 1.0),
        ("router-auto-.25", "auto", 0.25),
        ("router-mf-1e-05", "mf", 1e-05),
        ("router-mf-2.5e-7", "mf", 2.5e-7),
        ("router-gpt-4-0.3", "gpt-4", 0.3),
    ],
)
def test_a_router_name_gives_its_threshold(name: str, router: str, threshold: float):
    assert parse_model(name) == ModelName(router, threshold)
    assert parse_model(name).is_router


@pytest.mark.parametrize(
    "name",
    ["auto", "", "router", "router-", "router-mf", "router-0.5", "router--0.5x", "router-mf-1.5", "router-mf--0.1", "router-mf-nan",
     "router-mf-inf", "router-mf-1_0", "router-mf-0.5 ", "router-mf-٠.٥", "Router-mf-0.5", "router-mf-5",
     "router-mf-0x1", "xrouter-mf-0.5"],
)  # fmt: skip
def test_everything_else_is_a_plain_name_and_never_an_error(name: str):
    assert parse_model(name) == ModelName(name)
    assert not parse_model(name).is_router


def test_a_name_of_a_megabyte_is_plain_at_once():
    name = "router-" + "-" * 1_000_000
    assert parse_model(name).name is name
