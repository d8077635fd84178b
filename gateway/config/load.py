"""A configuration file to a `Config`, whole or not at all."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path as FilePath
from typing import Any

from gateway.config.catalog import plain, to_catalog, to_pricing, to_slo
from gateway.config.complete import complete
from gateway.config.crosscheck import NAMED, Readable, crosscheck, names_in
from gateway.config.decode import Document, Unreadable, decode
from gateway.config.effective import as_yaml, hash_of, price_hash_of
from gateway.config.errors import ConfigError, ConfigErrors, Mark, Problem
from gateway.config.fields import hints_of
from gateway.config.references import ReadFile, expand, read_file
from gateway.config.schema import inner_problems, read
from gateway.config.sections import Sections
from gateway.core.budget.slo import SloSpec
from gateway.core.pricing.options import PricingOptions
from gateway.domain.catalog import Catalog
from gateway.edges.server.options import AdminOptions, ServerOptions
from gateway.edges.store.options import StoreOptions
from gateway.edges.telemetry.options import DecisionLogOptions
from gateway.edges.upstream.options import UpstreamOptions


@dataclass(frozen=True, slots=True)
class Config:
    """What one version of the file means."""

    path: str
    hash: str
    """Digest of the meaning: stable over comments, formatting and secrets."""
    price_hash: str
    """Digest of the part that prices are made from; replicas of one fleet have one."""
    mode: str
    """observe or enforce."""
    auth: str
    """keys or none."""
    catalog: Catalog
    slos: tuple[SloSpec, ...]
    pricing: PricingOptions
    server: ServerOptions
    admin: AdminOptions
    upstream: UpstreamOptions
    store: StoreOptions
    decision_log: DecisionLogOptions
    secret_files: tuple[str, ...]
    """Files that `${file:...}` names."""
    sections: Sections = field(repr=False)
    """As written, with every default."""

    def effective(self) -> str:
        """Return the whole configuration as YAML, defaults filled in, secrets hidden."""
        return as_yaml(self.sections)


def load(path: str | FilePath, environ: Mapping[str, str], content: bytes | None = None, read_secret: ReadFile = read_file) -> Config:
    """Read a configuration file, or `content` in its place (what the watcher has just read).

    Args:
        environ: where `${NAME}` leads; read_secret: where `${file:PATH}` leads.
    Raises: ConfigErrors with everything that is wrong with it.
    """
    file = str(path)
    if content is None:
        content = _content(file)
    try:
        document = decode(content)
    except Unreadable as exc:
        raise ConfigErrors([ConfigError(file, exc.mark, (), exc.message)]) from exc
    secret_files: dict[str, None] = {}

    def read_noted(file: str) -> bytes:
        secret_files[file] = None
        return read_secret(file)

    expand(document, environ, read_noted)
    sections, problems = _sections(document)
    if sections is None:
        raise ConfigErrors(_errors(file, document, problems))
    return _config(file, complete(sections), tuple(secret_files))


def _content(file: str) -> bytes:
    try:
        return FilePath(file).read_bytes()
    except OSError as exc:
        raise ConfigErrors([ConfigError(file, Mark(), (), f"cannot be read: {exc.strerror or type(exc).__name__}")]) from exc


def _sections(document: Document) -> tuple[Sections | None, list[Problem]]:
    """Read each section, and each item of a list, on its own, so that a mistake in one does not hide those in others."""
    problems, made = list(document.problems), {}
    found = Readable(names=names_in(document.data))
    hints = hints_of(Sections)
    for key, data in document.data.items():
        if key in NAMED and isinstance(data, list):
            items = [(index, *read(_item_of(hints[key]), item, (key, index))) for index, item in enumerate(data)]
            problems += [p for _, _, wrong in items for p in wrong]
            problems += [
                p for index, item, _ in items if item is None for p in inner_problems(_item_of(hints[key]), data[index], (key, index))
            ]
            readable = [((key, index), item) for index, item, _ in items if item is not None]
            setattr(found, key, readable)
            made[key] = tuple(item for _, item in readable)
    single = {key: data for key, data in document.data.items() if key not in made}
    rest, wrong = read(Sections, single | {key: [] for key in made})
    problems += wrong
    _singles(found, single, rest, wrong)
    problems += crosscheck(found)
    if problems or rest is None:
        return None, problems
    return Sections(**{f.name: made.get(f.name, getattr(rest, f.name)) for f in fields(Sections)}), []


def _item_of(hint: Any) -> type[Any]:
    """Return X of tuple[X, ...]."""
    item: type[Any] = hint.__args__[0]
    return item


def _singles(found: Readable, data: Mapping[str, Any], rest: Sections | None, wrong: list[Problem]) -> None:
    """Add the sections that are no lists: from the whole when it could be read, else each that is right by itself."""
    broken = {p.path[0] for p in wrong if p.path}
    if rest is None:  # Read once more without the broken ones; only defaults stand in for them, and they are not used.
        whole = {key: value for key, value in data.items() if key not in broken and key not in NAMED}
        rest, _ = read(Sections, {"models": [], "routes": []} | whole)
    for name in ("auth", "server", "admin", "store", "pricing"):
        if rest is not None and name not in broken:
            setattr(found, name, getattr(rest, name))


def _errors(file: str, document: Document, problems: list[Problem]) -> list[ConfigError]:
    """Give every problem its place; of several at one place and path the first one is the cause."""
    errors: dict[Any, ConfigError] = {}
    for problem in problems:
        mark = document.place(problem)
        errors.setdefault((mark, problem.path), ConfigError(file, mark, problem.path, problem.message))
    return list(errors.values())


def _config(file: str, sections: Sections, secret_files: tuple[str, ...]) -> Config:
    return Config(
        path=file,
        hash=hash_of(sections),
        price_hash=price_hash_of(sections),
        mode=str(sections.mode),
        auth=str(sections.auth),
        catalog=to_catalog(sections),
        slos=tuple(to_slo(s) for s in sections.slos),
        pricing=to_pricing(sections),
        server=plain(sections.server),
        admin=plain(sections.admin),
        upstream=sections.upstream,
        store=plain(sections.store),
        decision_log=plain(sections.decision_log),
        secret_files=secret_files,
        sections=sections,
    )
