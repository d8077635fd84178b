"""Every source file has a twin that tests it, under the same path, and every unit test has its source."""

from pathlib import Path

PACKAGES = ("gateway", "router_models", "load")
WITHOUT_A_TWIN = {"__init__.py", "__main__.py"}


def wanted_twins(house: Path) -> dict[str, str]:
    """Return test file -> source file, both relative to the house."""
    sources = [file.relative_to(house) for package in PACKAGES for file in sorted((house / package).rglob("*.py"))]
    return {
        (Path("tests/unit") / source.parent / f"test_{source.name}").as_posix(): source.as_posix()
        for source in sources
        if source.name not in WITHOUT_A_TWIN
    }


def test_every_source_file_has_its_twin(house: Path) -> None:
    missing = [f"{source} wants {twin}" for twin, source in wanted_twins(house).items() if not (house / twin).exists()]
    assert not missing, f"{len(missing)} missing:\n" + "\n".join(missing)


def test_every_unit_test_has_its_source(house: Path) -> None:
    wanted = wanted_twins(house)
    there = [file.relative_to(house).as_posix() for file in sorted((house / "tests/unit").rglob("test_*.py"))]
    orphans = [test for test in there if test not in wanted]
    assert not orphans, "\n".join(orphans)


def test_a_twin_holds_tests(house: Path) -> None:
    empty = [twin for twin in wanted_twins(house) if (house / twin).exists() and "def test_" not in (house / twin).read_text()]
    assert not empty, "\n".join(empty)


def test_a_room_says_its_question_and_nothing_else(house: Path) -> None:
    """`__init__.py` is one docstring: no work at import time, no names re-exported from elsewhere."""
    talkative = []
    for package in PACKAGES:
        for file in sorted((house / package).rglob("__init__.py")):
            lines = [line for line in file.read_text().splitlines() if line.strip()]
            if len(lines) != 1 or not (lines[0].startswith('"""') and lines[0].endswith('"""')):
                talkative.append(file.relative_to(house).as_posix())
    assert not talkative, "\n".join(talkative)
