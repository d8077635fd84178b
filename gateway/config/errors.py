"""What is wrong with a configuration, where it stands, and what was probably meant."""

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

Path = tuple[str | int, ...]
"""Keys and list positions from the top of the document, for example `("slos", 1, "objective")`."""

NAMES_SHOWN_MAX = 16


@dataclass(frozen=True, slots=True)
class Mark:
    """Where something stands in the file; line and column count from 1."""

    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake, before it is known where its path stands in the file."""

    path: Path
    message: str
    is_of_key: bool = False
    """Point at the key rather than at its value."""
    mark: Mark | None = None
    """Its place, where the path does not say it (a repeated key)."""


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One mistake of the operator; never shows a secret."""

    file: str
    mark: Mark
    path: Path
    message: str

    def __str__(self) -> str:
        """Return `file:line:col path: what is wrong`, a form that editors can jump to."""
        path = path_text(self.path)
        return f"{self.file}:{self.mark.line}:{self.mark.column} {path + ': ' if path else ''}{self.message}"


class ConfigErrors(Exception):
    """Everything that is wrong with one configuration, in the file's order; never empty."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors = sorted(errors, key=lambda e: (e.mark.line, e.mark.column))
        super().__init__("\n".join(map(str, self.errors)))


def path_text(path: Path) -> str:
    """Return a path as people write it: `slos[1].objective`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def close_to(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that was probably meant."""
    names = list(known)
    if close := get_close_matches(word, names, n=1, cutoff=0.6):
        return close[0]
    # Another case or separator is far away to difflib when the word is short.
    return {_bare(name): name for name in names}.get(_bare(word))


def meant(word: str, known: Iterable[str], what: str = "names") -> str:
    """Return the end of a message: `did you mean 'x'?`, else the list of what is known."""
    names = list(known)
    if close := close_to(word, names):
        return f"did you mean '{close}'?"
    if not names:
        return f"there are no {what}"
    return f"known {what}: {', '.join(names[:NAMES_SHOWN_MAX])}{', ...' if len(names) > NAMES_SHOWN_MAX else ''}"


def _bare(word: str) -> str:
    return word.replace("_", "").replace("-", "").lower()
