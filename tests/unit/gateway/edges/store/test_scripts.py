"""Scripts are there, and touch no key that is not declared."""

import re

import pytest

from gateway.edges.store.scripts import FOLDER, Script

NAMES = sorted(p.stem for p in FOLDER.glob("*.lua"))


def test_every_script_is_known() -> None:
    assert NAMES == ["changed", "check", "compare", "feedback", "flush", "grant", "lead", "override", "publish", "read", "resign"]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_says_what_its_keys_are_and_builds_none(name: str) -> None:
    text = Script(name).text
    assert "-- KEYS:" in text or "KEYS:" in text.split("\n\n")[0]
    assert "sluice:" not in text
    for command, first in re.findall(r"redis\.p?call\('(\w+)', ([^,)]+)", text):
        assert command == "INFO" or first in {"key", "slot"} or first.startswith("KEYS["), f"{command} {first}"


def test_the_check_tries_every_command_that_a_script_uses() -> None:
    texts = {name: Script(name).text for name in NAMES}
    used = {command for name in NAMES if name != "check" for command in re.findall(r"redis\.p?call\('(\w+)'", texts[name])}
    tried = set(re.findall(r"\{'(\w+)'", texts["check"]))
    assert used - {"INFO"} <= tried, "INFO may be forbidden"
