"""`${ENV}`, `${ENV:-default}` and `${file:/path}` in the values of a configuration.

What a reference brings in is treated as a secret wherever it stands: errors, `--effective` and the hash see what was
written, never what it stands for. `$${` is a literal `${`.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from gateway.config.decode import Document
from gateway.config.errors import Path, Problem, meant
from gateway.config.scalars import Refused

SECRET_SIZE_MAX = 64 * 1024
"""Bytes of a secret file."""
TEXT_SHOWN_MAX = 60

_REFERENCE = re.compile(r"\$(?P<literal>\$\{)|\$\{(?P<inside>[^{}]*)(?P<end>\}?)")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?P<default>.*))?\Z", re.DOTALL)
_FILE = re.compile(rb"\$\{file:([^{}]*)\}")

ReadFile = Callable[[str], bytes]


class Expanded(str):
    """Text that a reference brought in, with the reference as it was written."""

    written: str

    def __new__(cls, text: str, written: str) -> "Expanded":
        """Keep both."""
        self = super().__new__(cls, text)
        self.written = written
        return self


class Unresolved(Exception):
    """A reference that leads nowhere; the message names it, never a value."""


def quoted(value: object) -> str:
    """Return a value as an error may show it: a reference as written, long text cut."""
    text = value.written if isinstance(value, Expanded) else str(value) if isinstance(value, str) else repr(value)
    text = text if len(text) <= TEXT_SHOWN_MAX else text[:TEXT_SHOWN_MAX] + "..."
    return f"'{text}'" if isinstance(value, str) else text


def read_file(path: str) -> bytes:
    """Read a secret file.

    Raises: OSError; Unresolved when it is larger than SECRET_SIZE_MAX.
    """
    with FilePath(path).open("rb") as file:
        content = file.read(SECRET_SIZE_MAX + 1)
    if len(content) > SECRET_SIZE_MAX:
        raise Unresolved(f"file '{path}' is larger than {SECRET_SIZE_MAX // 1024} KiB")
    return content


def files_in(content: bytes) -> tuple[str, ...]:
    """Return the paths of all `${file:...}` in a configuration's bytes, readable YAML or not."""
    return tuple(dict.fromkeys(found.decode("utf-8", "replace") for found in _FILE.findall(content)))


def expand(document: Document, environ: Mapping[str, str], read: ReadFile = read_file) -> None:
    """Replace the references in all values of a document, in place; one that leads nowhere is noted and stays as text."""

    def walk(node: Any, path: Path) -> Any:
        if isinstance(node, dict):
            return {key: walk(value, (*path, key)) for key, value in node.items()}
        if isinstance(node, list):
            return [walk(value, (*path, i)) for i, value in enumerate(node)]
        if not isinstance(node, str) or "${" not in node or isinstance(node, Refused):
            return node
        try:
            return expand_text(node, environ, read)
        except Unresolved as exc:
            document.problems.append(Problem(path, str(exc)))
            return Refused(node)

    document.data = walk(document.data, ())


def expand_text(text: str, environ: Mapping[str, str], read: ReadFile = read_file) -> str:
    """Return a text with its references replaced: an Expanded, or plain text when there were none.

    Raises: Unresolved.
    """
    brought_in = False

    def replace(found: re.Match[str]) -> str:
        nonlocal brought_in
        if found["literal"]:
            return "${"
        if not found["end"]:
            raise Unresolved("'${' without '}'; write $${ for a literal ${")
        brought_in = True
        inside = found["inside"]
        if inside.startswith("file:"):
            return _of_file(inside.removeprefix("file:"), read)
        return _of_environment(inside, environ)

    replaced = _REFERENCE.sub(replace, text)
    return Expanded(replaced, text) if brought_in else replaced


def _of_file(path: str, read: ReadFile) -> str:
    if not path or path != path.strip():
        raise Unresolved("'${file:...}' needs a path, for example ${file:/run/secrets/key}")
    try:
        text = read(path).decode("utf-8").rstrip("\r\n")
    except OSError as exc:
        raise Unresolved(f"file '{path}' cannot be read: {exc.strerror or type(exc).__name__}{_from_where(path)}") from exc
    except UnicodeDecodeError:
        raise Unresolved(f"file '{path}' is not UTF-8 text") from None
    if not text:
        raise Unresolved(f"file '{path}' is empty")
    return text


def _from_where(path: str) -> str:
    return "" if FilePath(path).is_absolute() else " (relative paths start at the working directory)"


def _of_environment(inside: str, environ: Mapping[str, str]) -> str:
    found = _VARIABLE.match(inside)
    if found is None:
        shown = inside.split(":-", maxsplit=1)[0]  # Behind it stands a default, which may be a secret.
        raise Unresolved(f"'${{{shown}}}' names no environment variable; write ${{NAME}}, ${{NAME:-default}} or ${{file:/path}}")
    name = found["name"]
    value = environ.get(name, "") or found["default"] or ""
    if value:
        return value
    if name in environ:
        raise Unresolved(f"environment variable {name} is empty")
    hint = meant(name, environ) if len(name) > 3 else ""
    raise Unresolved(f"environment variable {name} is not set{', ' + hint if hint.startswith('did you mean') else ''}")
