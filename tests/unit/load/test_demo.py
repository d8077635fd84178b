"""The demo's preparations; that it starts, stops and leaves nothing is shown in tests/integration/load."""

import os
import stat
from pathlib import Path

import pytest

from gateway.config.errors import ConfigErrors
from load.demo import DemoRefused, demo, prepared, simulated

SHIPPED = Path("config/sluice.yaml").absolute()


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "sluice.yaml").write_text(SHIPPED.read_text())
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_shipped_configuration_wants_a_large_and_a_small_model(here: Path) -> None:
    wanted = simulated(prepared(Path("config/sluice.yaml")))
    assert [(s.model, s.port, s.preset) for s in wanted] == [("strong", 9101, "h100"), ("weak", 9102, "small")]


def test_a_token_is_made_once_for_the_owner_only(here: Path) -> None:
    first = prepared(Path("config/sluice.yaml"))
    second = prepared(Path("config/sluice.yaml"))
    assert first.admin.token is not None
    assert second.admin.token is not None
    assert first.admin.token.reveal() == second.admin.token.reveal()
    assert len(first.admin.token.reveal()) >= 20
    assert stat.S_IMODE((here / ".sluice" / "admin-token").stat().st_mode) == 0o600


def test_a_backend_elsewhere_is_not_simulated(here: Path) -> None:
    path = here / "config" / "sluice.yaml"
    path.write_text(path.read_text().replace("http://127.0.0.1:9102/v1", "http://gpu-1:9102/v1"))
    assert [s.model for s in simulated(prepared(path))] == ["strong"]


def test_another_directory_is_told_where_to_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DemoRefused, match="root of the repository"):
        prepared(Path("config/sluice.yaml"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_named(here: Path) -> None:
    here.chmod(0o500)
    try:
        with pytest.raises(DemoRefused, match="cannot be written"):
            prepared(Path("config/sluice.yaml"))
    finally:
        here.chmod(0o700)


def test_a_file_in_the_place_of_the_state_directory_is_named(here: Path) -> None:
    (here / ".sluice").write_text("")
    with pytest.raises(DemoRefused, match=r"\.sluice cannot be written"):
        prepared(Path("config/sluice.yaml"))


def test_mistakes_in_the_configuration_come_as_the_gateway_says_them(here: Path) -> None:
    path = here / "config" / "sluice.yaml"
    path.write_text(path.read_text().replace("mode: enforce", "mode: enforced"))
    with pytest.raises(ConfigErrors, match="mode"):
        prepared(path)


async def test_a_refused_demo_is_one_line_and_status_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert await demo(Path("config/sluice.yaml"), False) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("\n") == 1
