"""The tree stands on its own: no package registry's host, no path of anybody's machine, lock files with hashes."""

import re
import subprocess
from pathlib import Path

import pytest

# Put together from parts, or this file would name them itself.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("py" + "pi", "org"),
        ("python" + "hosted", "org"),
        ("np" + "mjs", "org"),
        ("np" + "mjs", "com"),
        ("yarn" + "pkg", "com"),
        ("ana" + "conda", "org"),
        ("crates", "io"),
        ("ruby" + "gems", "org"),
        ("proxy", "golang", "org"),
    )
)
MACHINE_PATHS = re.compile(
    "|".join(["(?<![\\w.])/" + "work/", "/" + "home/[a-z]", "/" + "Users/[a-z]", "/" + "root/", "[A-Z]:\\\\" + "Users"])
)
LOCKS = ("requirements.lock", "requirements-dev.lock")
BINARY = {".npz", ".parquet", ".gz", ".png", ".ico", ".woff2"}


@pytest.fixture(scope="module")
def texts() -> dict[str, str]:
    """Every tracked text file by its path; outside a checkout, the test is skipped."""
    house = next(parent for parent in Path(__file__).resolve().parents if (parent / "pyproject.toml").exists())
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=house, capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a checkout")
    files = [house / name for name in listed.stdout.split("\0") if name]
    return {
        f.relative_to(house).as_posix(): f.read_text(errors="replace") for f in files if f.is_file() and f.suffix not in BINARY
    }  # A tracked file may be deleted in the working tree.


def test_no_file_names_a_package_registry(texts: dict[str, str]) -> None:
    found = [f"{name}: {host}" for name, text in texts.items() for host in REGISTRIES if host in text]
    assert not found, "\n".join(found)


def test_no_file_names_a_path_of_somebodys_machine(texts: dict[str, str]) -> None:
    found = [f"{name}: {hit.group()}" for name, text in texts.items() if (hit := MACHINE_PATHS.search(text))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_pins_every_package_by_hash_and_names_no_address(house: Path, name: str) -> None:
    text = (house / name).read_text()
    assert "://" not in text and "--index" not in text and "--find-links" not in text
    packages = [block for block in re.split(r"\n(?=[A-Za-z0-9])", text) if not block.startswith("#")]
    assert len(packages) > 10
    for block in packages:
        assert re.match(r"[A-Za-z0-9._-]+==[^\s;]+", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_development_lock_holds_all_that_the_other_one_pins(house: Path) -> None:
    run, dev = ({line.split(" ")[0] for line in (house / n).read_text().splitlines() if "==" in line and line[0] != " "} for n in LOCKS)
    assert run <= dev
