"""`sluice keys`: a key, its digest, and that the gateway finds its tenant by it."""

import io
import re
from collections.abc import Callable
from hashlib import sha256
from types import ModuleType

import pytest

from gateway.commands import keys
from gateway.core.tenants.directory import Directory
from gateway.domain.catalog import Catalog, Tenant

Run = Callable[[ModuleType], Callable[..., int]]


def test_a_new_key_comes_with_the_digest_of_itself(verb: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert verb(keys)() == 0
    key, line = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"sk-sluice-[0-9a-f]{48}", key)
    assert line == f'"sha256:{sha256(key.encode()).hexdigest()}"'


def test_two_keys_differ(verb: Run, capsys: pytest.CaptureFixture[str]) -> None:
    verb(keys)()
    verb(keys)("new")
    lines = capsys.readouterr().out.splitlines()
    assert len(set(lines)) == 4


def test_the_digest_is_the_one_that_the_directory_looks_up(verb: Run, capsys: pytest.CaptureFixture[str]) -> None:
    verb(keys)()
    key, line = capsys.readouterr().out.splitlines()
    tenant = Tenant("acme", (line.strip('"').removeprefix("sha256:"),), "standard")
    directory = Directory(Catalog({}, {}, {}, {"acme": tenant}))
    assert directory.find(sha256(key.encode()).hexdigest()) is tenant


def test_an_existing_key_is_hashed_without_its_newline(
    verb: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("secret\r\n"))
    assert verb(keys)("hash") == 0
    assert capsys.readouterr().out == f'"sha256:{sha256(b"secret").hexdigest()}"\n'


def test_an_empty_key_is_refused(verb: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert verb(keys)("hash") == 1
    assert capsys.readouterr().out == ""
