"""Tests of noticing changes, on real files."""

import os
from pathlib import Path

import pytest

from gateway.config.watch import Watcher, fingerprint


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sluice.yaml"
    path.write_bytes(b"a: 1\n")
    return path


def test_nothing_has_changed_at_first(file: Path) -> None:
    watcher = Watcher(file)
    assert [watcher.changed() for _ in range(3)] == [None, None, None]


def test_a_change_is_returned_once_and_only_when_two_polls_agree(file: Path) -> None:
    watcher = Watcher(file)
    file.write_bytes(b"a: 2\n")
    assert [watcher.changed() for _ in range(3)] == [None, b"a: 2\n", None]


def test_a_file_that_is_still_being_written_is_not_taken(file: Path) -> None:
    watcher = Watcher(file)
    seen = []
    for part in (b"a: 2\nb", b"a: 2\nb: 3", b"a: 2\nb: 3\n"):
        file.write_bytes(part)
        seen.append(watcher.changed())
    assert seen == [None, None, None]
    assert watcher.changed() == b"a: 2\nb: 3\n"


def test_a_change_that_is_taken_back_is_none(file: Path) -> None:
    watcher = Watcher(file)
    file.write_bytes(b"a: 2\n")
    assert watcher.changed() is None
    file.write_bytes(b"a: 1\n")
    assert [watcher.changed() for _ in range(3)] == [None, None, None]


def test_a_touched_file_has_not_changed(file: Path) -> None:
    watcher = Watcher(file)
    os.utime(file, (1, 1))
    file.write_bytes(b"a: 1\n")
    assert [watcher.changed() for _ in range(2)] == [None, None]


def test_a_file_renamed_over_it_is_a_change(file: Path, tmp_path: Path) -> None:
    watcher = Watcher(file)
    (tmp_path / "new").write_bytes(b"a: 2\n")
    (tmp_path / "new").rename(file)
    assert [watcher.changed() for _ in range(2)] == [None, b"a: 2\n"]


def test_a_config_maps_swapped_symlink_is_a_change(tmp_path: Path) -> None:
    for name, content in (("..1", b"a: 1\n"), ("..2", b"a: 2\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "sluice.yaml").write_bytes(content)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "sluice.yaml").symlink_to("..data/sluice.yaml")
    watcher = Watcher(tmp_path / "sluice.yaml")
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").rename(tmp_path / "..data")
    assert [watcher.changed() for _ in range(2)] == [None, b"a: 2\n"]


def test_a_file_that_is_away_for_a_moment_is_no_change(file: Path) -> None:
    watcher = Watcher(file)
    file.unlink()
    assert watcher.changed() is None
    assert watcher.problem == f"{file} cannot be read: No such file or directory"
    file.write_bytes(b"a: 1\n")
    assert [watcher.changed() for _ in range(3)] == [None, None, None]
    assert watcher.problem is None


def test_a_new_file_that_was_away_between_two_polls_is_polled_twice_again(file: Path) -> None:
    watcher = Watcher(file)
    file.write_bytes(b"a: 2\n")
    assert watcher.changed() is None
    file.unlink()
    assert watcher.changed() is None
    file.write_bytes(b"a: 2\n")
    assert [watcher.changed() for _ in range(2)] == [None, b"a: 2\n"]


def test_a_file_that_was_away_at_first_is_a_change_when_it_comes(tmp_path: Path) -> None:
    watcher = Watcher(tmp_path / "late.yaml")
    assert watcher.problem is not None
    (tmp_path / "late.yaml").write_bytes(b"a: 1\n")
    assert [watcher.changed() for _ in range(3)] == [None, b"a: 1\n", None]


def test_a_secret_files_change_is_a_change_of_the_same_content(tmp_path: Path) -> None:
    file, secret = tmp_path / "sluice.yaml", tmp_path / "key"
    content = f"api_key: ${{file:{secret}}}\n".encode()
    file.write_bytes(content)
    watcher = Watcher(file)
    assert [watcher.changed() for _ in range(2)] == [None, None]
    secret.write_bytes(b"one")
    assert [watcher.changed() for _ in range(3)] == [None, content, None]
    secret.write_bytes(b"two")
    assert [watcher.changed() for _ in range(3)] == [None, content, None]
    secret.unlink()
    assert [watcher.changed() for _ in range(3)] == [None, content, None]


def test_a_secret_file_counts_once_the_configuration_names_it(file: Path, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_bytes(b"one")
    watcher = Watcher(file)
    secret.write_bytes(b"two")
    assert [watcher.changed() for _ in range(2)] == [None, None]
    file.write_bytes(f"k: ${{file:{secret}}}\n".encode())
    assert watcher.changed() is None and watcher.changed() is not None
    secret.write_bytes(b"three")
    assert watcher.changed() is None and watcher.changed() is not None


def test_fingerprints_tell_content_names_and_secrets_apart() -> None:
    prints = {
        fingerprint(b"a", {}),
        fingerprint(b"b", {}),
        fingerprint(b"a", {"x": None}),
        fingerprint(b"a", {"x": b""}),
        fingerprint(b"a", {"x": b"1"}),
        fingerprint(b"a", {"y": b"1"}),
        fingerprint(b"a", {"x": b"1", "y": None}),
    }
    assert len(prints) == 7
    assert fingerprint(b"a", {"x": b"1", "y": b"2"}) == fingerprint(b"a", {"y": b"2", "x": b"1"})
