"""Tests of loading: whole or not at all, with everything that is wrong."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config.decode import decode
from gateway.config.errors import ConfigErrors
from gateway.config.load import Config, load
from gateway.core.budget.slis.registry import SLIS
from gateway.core.pricing.laws.registry import LAWS
from gateway.domain.catalog import Secret

BAD = sorted((Path(__file__).parent / "bad").glob("*.yaml"))
EXPECT = "# expect: "


def expected(file: Path) -> list[str]:
    """Return what the file says about itself: `line:col path: message`, one a line, in the order of the report."""
    content = file.read_bytes()
    text = content.decode("utf-16" if content.startswith(b"\xff\xfe") else "utf-8-sig", errors="replace")
    return [line.removeprefix(EXPECT) for line in text.splitlines() if line.startswith(EXPECT)]


@pytest.mark.parametrize("file", BAD, ids=lambda path: path.stem)
def test_a_bad_file_gives_exactly_the_errors_that_it_announces(file: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(file, {})
    assert [str(error).removeprefix(f"{file}:") for error in caught.value.errors] == expected(file)
    assert expected(file)
    assert "hunter2" not in str(caught.value) and "must-not-be-shown" not in str(caught.value)


def test_there_are_at_least_twenty_five_bad_files() -> None:
    assert len(BAD) >= 25


def shipped_files() -> list[Path]:
    folder = next(parent for parent in Path(__file__).parents if (parent / "pyproject.toml").exists()) / "config"
    return [folder / "sluice.yaml", *sorted((folder / "examples").glob("*.yaml"))]


def load_shipped(file: Path) -> Config:
    return load(file, {"BIG_KEY": "hunter2"}, read_secret=lambda path: b"hunter2\n")


@pytest.mark.parametrize("file", shipped_files(), ids=lambda path: path.name)
def test_what_ships_loads(file: Path) -> None:
    config = load_shipped(file)
    assert config.catalog.routes["auto"].models == ("strong", "weak")
    assert "hunter2" not in config.effective()


def test_every_plugin_has_an_example() -> None:
    examples = {file.stem: load_shipped(file) for file in shipped_files()}
    for kind in SLIS:
        assert kind in {slo.kind for slo in examples[kind].slos}
    for kind in LAWS:
        assert examples[kind].pricing.law == kind


def test_the_demos_configuration_is_what_make_run_expects() -> None:
    config = load_shipped(shipped_files()[0])
    assert (config.mode, config.auth, config.store.url.reveal()) == ("enforce", "none", "embedded")
    assert (config.server.listen, config.admin.listen) == ("127.0.0.1:8080", "127.0.0.1:8081")
    assert config.secret_files == (".sluice/admin-token",)
    assert [model.backends[0].url for model in config.catalog.models.values()] == ["http://127.0.0.1:9101/v1", "http://127.0.0.1:9102/v1"]
    assert config.pricing.priority == ("availability", "spend", "first-token")
    assert config.decision_log.path == ".sluice/decisions.jsonl"


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors) as caught:
        load(tmp_path / "none.yaml", {})
    assert str(caught.value) == f"{tmp_path}/none.yaml:1:1 cannot be read: No such file or directory"


def test_content_takes_the_place_of_the_file(minimal: str) -> None:
    assert load("not-there.yaml", {}, minimal.encode()).path == "not-there.yaml"


def test_secrets_come_from_environment_and_files(tmp_path: Path, configure: Callable[..., Config]) -> None:
    (tmp_path / "token").write_text("hunter2\n")
    config = configure(f"admin: {{token: '${{file:{tmp_path}/token}}'}}\nstore: {{url: '${{URL}}'}}\n", {"URL": "redis://h:1/0"})
    assert config.admin.token == Secret("hunter2") and config.store.url.reveal() == "redis://h:1/0"
    assert config.secret_files == (f"{tmp_path}/token",)


def test_a_bad_secret_is_not_shown(complaints_of: Callable[..., list[str]]) -> None:
    said = complaints_of("admin: {token: '${T}'}\nmode: ${T}\nserver: {idle: '${T}'}\n", {"T": "hunter2\nsecond-line"})
    assert len(said) == 3
    assert "hunter2" not in str(said) and "'${T}' is not known here" in said[1]


def test_the_kinds_of_numbers_may_come_from_the_environment(configure: Callable[..., Config]) -> None:
    config = configure("slos: [{name: b, sli: {kind: cost, usd: '${BUDGET:-40}'}, period: calendar-day}]\n", {"BUDGET": "55.5"})
    assert config.slos[0].options.usd == 55.5


def test_a_mistake_in_one_section_does_not_hide_those_in_others(complaints_of: Callable[..., list[str]]) -> None:
    said = complaints_of(
        "mode: x\nserver: 5\nadmin: {listen: nowhere}\nstore: {url: nowhere}\npricing: {priority: [zzz]}\nslos: [{name: a}]\n"
    )
    assert [line.split(":")[0] for line in said] == [
        "mode",
        "server",
        "admin.listen",
        "store.url",
        "pricing.priority",
        "pricing.priority[0]",
        "slos[0].sli",
    ]


def test_one_place_is_complained_about_once(complaints_of: Callable[..., list[str]]) -> None:
    assert len(complaints_of("tenants: [{name: t, keys: ['${UNSET}'], class: no}]\n")) == 2


def test_the_environment_is_given_not_taken(complaints_of: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_TEST_TOKEN", "t")
    assert complaints_of("admin: {token: '${SLUICE_TEST_TOKEN}'}\n") != []
    assert complaints_of("admin: {token: '${SLUICE_TEST_TOKEN}'}\n", os.environ) == []


def test_bad_files_are_about_the_configuration_and_not_about_each_other() -> None:
    whole = [file for file in BAD if file.stem in {"unknown_key", "many_at_once"}]
    assert all(decode(file.read_bytes()).data for file in whole) and len(whole) == 2
