"""`sluice pin`, against a real admin port."""

import getpass
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from gateway.commands import freeze, pin, unpin

Run = Callable[[ModuleType], Callable[..., int]]


class Gateway(HTTPServer):
    """Records what was asked, and answers what the test wants."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.answer: tuple[int, bytes] = (200, b'{"done": {}}')
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, self.headers["Authorization"], json.loads(body)))
        status, data = self.server.answer
        self.send_response(status)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    with Gateway() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("admin-token\n")
    return path


def test_a_pin_is_asked_for_in_the_users_name(verb: Run, gateway: Gateway, token_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = verb(pin)("auto", "--threshold", "0.3", "--for", "1h", "--admin", gateway.url, "--token-file", token_file)
    assert code == 0
    [(path, authorization, body)] = gateway.asked
    assert (path, authorization) == ("/admin/override", "Bearer admin-token")
    assert body == {"verb": "pin", "route": "auto", "threshold": 0.3, "for_s": 3600.0, "by": getpass.getuser()}
    assert capsys.readouterr().out == "route auto is held at threshold 0.3 for 1h\n"


def test_address_and_token_come_from_the_configuration(verb: Run, gateway: Gateway, config: Path) -> None:
    config.write_text(config.read_text().replace("127.0.0.1:8081", f"0.0.0.0:{gateway.server_address[1]}"))
    assert verb(pin)("auto", "--threshold", "0", "--for", "10m", "--config", config) == 0
    assert gateway.asked[0][1] == "Bearer admin-token"


def test_the_token_may_come_from_the_environment(verb: Run, gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(pin.VARIABLE, "tökén")
    assert verb(freeze)("--for", "90s", "--admin", gateway.url) == 0
    [(_, authorization, body)] = gateway.asked
    assert authorization.encode("latin-1").decode() == "Bearer tökén"
    assert (body["verb"], body["for_s"]) == ("freeze", 90.0)


def test_a_refusal_is_shown_and_fails(verb: Run, gateway: Gateway, token_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gateway.answer = (400, b'{"error": "no route \'autoo\'"}')
    assert verb(unpin)("autoo", "--admin", gateway.url, "--token-file", token_file) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "no route 'autoo'" in captured.err


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "127.0.0.1:8081", "ftp://127.0.0.1"])
def test_a_gateway_that_cannot_be_reached_is_one_line_and_status_2(
    verb: Run, token_file: Path, url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verb(unpin)("--all", "--admin", url, "--token-file", token_file) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_an_answer_that_is_not_ours_is_no_success(verb: Run, gateway: Gateway, token_file: Path) -> None:
    gateway.answer = (200, b"<html>")
    assert verb(unpin)("--all", "--admin", gateway.url, "--token-file", token_file) == 2


def test_without_token_file_and_configuration_the_way_out_is_said(verb: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(unpin)("--all", "--config", tmp_path / "none.yaml") == 2
    assert "--admin URL and --token-file FILE" in capsys.readouterr().err
    assert verb(unpin)("--all", "--admin", "http://127.0.0.1:1", "--token-file", tmp_path / "none") == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["--threshold", "1.2", "--for", "1h"],
        ["--threshold", "0.3", "--for", "60"],
        ["--threshold", "30%", "--for", "1h"],
        ["--threshold", "0.3"],
    ],
)
def test_a_threshold_outside_its_range_and_a_bare_duration_are_refused(
    verb: Run, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        verb(pin)("auto", *arguments)
    assert "error" in capsys.readouterr().err


def test_a_user_without_a_name_is_told_by_number(monkeypatch: pytest.MonkeyPatch, verb: Run, gateway: Gateway, token_file: Path) -> None:
    def nameless() -> str:
        raise KeyError("uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert verb(unpin)("--all", "--admin", gateway.url, "--token-file", token_file) == 0
    assert gateway.asked[0][2]["by"].startswith("uid ")
