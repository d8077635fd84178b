"""What is wrong between sections: names that lead nowhere, things that exclude each other.

The checks run on whatever could be read, so that one misspelt key does not hide the rest: an item that could not be
read is left out, but its name is still known.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from gateway.config.complete import OPEN_TENANT, backend_name, cheaper_than
from gateway.config.errors import Path, Problem, meant
from gateway.config.objectives import SloSection
from gateway.config.offer import ModelSection, RouteSection
from gateway.config.references import quoted
from gateway.config.sections import DEFAULT_CLASS, ClassSection, PricingSection, TenantSection
from gateway.edges.server.options import AdminOptions, ServerOptions
from gateway.edges.store.options import StoreOptions

SLOS_MAX = 200
"""Priced scopes; every one of them is judged each tick."""
NAMED = {"models": "model", "routes": "route", "slos": "SLO", "classes": "class", "tenants": "tenant"}
"""Sections that are lists of items with a name, and what people call one of them."""
STORES = ("embedded", "memory")
STORE_SCHEMES = ("redis", "rediss", "unix")


@dataclass(slots=True)
class Readable:
    """What could be read of a configuration: items with their paths, and the names of all items, readable or not."""

    names: Mapping[str, list[tuple[Path, str]]] = field(default_factory=dict)
    """By section (models, routes, slos, classes, tenants); a section that is no list has no entry."""
    models: list[tuple[Path, ModelSection]] = field(default_factory=list)
    routes: list[tuple[Path, RouteSection]] = field(default_factory=list)
    slos: list[tuple[Path, SloSection]] = field(default_factory=list)
    classes: list[tuple[Path, ClassSection]] = field(default_factory=list)
    tenants: list[tuple[Path, TenantSection]] = field(default_factory=list)
    auth: str | None = None
    server: ServerOptions | None = None
    admin: AdminOptions | None = None
    store: StoreOptions | None = None
    pricing: PricingSection | None = None

    def known(self, section: str) -> list[str] | None:
        """Return the names in a section, None when they cannot be told."""
        entries = self.names.get(section)
        return None if entries is None else [name for _, name in entries]


def crosscheck(found: Readable) -> Iterator[Problem]:
    """Yield everything that is wrong within items and between them."""
    for items in (found.models, found.routes, found.slos, found.classes, found.tenants):
        for path, item in items:
            for problem in item.problems():
                yield Problem((*path, *problem.path), problem.message)
    for check in _CHECKS:
        yield from check(found)


def parse_listen(text: str) -> tuple[str, int] | None:
    """Return host and port of `host:port` or `[v6]:port`; None when it is not that."""
    host, colon, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    if not colon or not bare or (":" in bare) != (bare != host) or any(c.isspace() for c in bare):
        return None
    return (bare, int(port)) if port.isascii() and port.isdigit() and int(port) < 65_536 else None


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _names(found: Readable) -> Iterator[Problem]:
    for section, entries in found.names.items():
        first: dict[str, Path] = {}
        for path, name in entries:
            if name in first:
                yield Problem((*path, "name"), f"a second {NAMED[section]} called {quoted(name)}")
            first.setdefault(name, path)
    models = found.known("models") or []
    for path, name in found.names.get("routes", []):
        if name in models:
            yield Problem((*path, "name"), f"{quoted(name)} is a model's name too; clients could not tell them apart")


def _needed(found: Readable) -> Iterator[Problem]:
    for section in ("models", "routes", "classes"):
        if found.known(section) == []:
            yield Problem((section,), "at least one is needed")
    if len(found.names.get("slos", [])) > SLOS_MAX:
        yield Problem(("slos",), f"more than {SLOS_MAX} SLOs")


def _references(found: Readable) -> Iterator[Problem]:
    for path, route in found.routes:
        for i, model in enumerate(route.models):
            yield from _unknown(found, "models", model, (*path, "models", i), "model")
    for path, slo in found.slos:
        if slo.for_ is not None:
            yield from _unknown(found, "routes", slo.for_.route, (*path, "for", "route"), "route")
    for path, tenant in found.tenants:
        yield from _unknown(found, "classes", tenant.class_, (*path, "class"), "class")
        for i, limits in enumerate(tenant.model_limits):
            yield from _unknown(found, "models", limits.model, (*path, "model_limits", i, "model"), "model")


def _unknown(found: Readable, section: str, name: str, path: Path, what: str) -> Iterator[Problem]:
    known = found.known(section)
    if known is not None and name not in known:
        yield Problem(path, f"unknown {what} {quoted(name)}, {meant(name, known, section)}")


def _priority(found: Readable) -> Iterator[Problem]:
    slos = found.known("slos")
    if found.pricing is None or found.pricing.priority is None or slos is None:
        return
    priority = found.pricing.priority
    for i, name in enumerate(priority):
        path = ("pricing", "priority", i)
        if name not in slos:
            yield Problem(path, f"unknown SLO {quoted(name)}, {meant(name, slos, 'SLOs')}")
        elif name in priority[:i]:
            yield Problem(path, f"{quoted(name)} stands here twice")
    if left_out := [name for name in dict.fromkeys(slos) if name not in priority]:
        yield Problem(("pricing", "priority"), f"every SLO needs its place; missing: {', '.join(map(quoted, left_out))}")


def _windows(found: Readable) -> Iterator[Problem]:
    tick_s = found.pricing.tick if found.pricing else 0.0
    for path, slo in found.slos:
        if slo.length_s is not None and slo.length_s < tick_s:
            key = "period" if slo.window is None else "window"
            yield Problem((*path, key), f"shorter than the tick of {tick_s:g}s in which budgets are judged")


def _backends(found: Readable) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path, model in found.models:
        for i, backend in enumerate(model.backends):
            if any(problem.path == ("url",) for problem in backend.problems()):
                continue
            name, here = backend_name(model.name, backend), (*path, "backends", i)
            if name in first:
                yield Problem(here, f"a second backend called {quoted(name)}; give one of them a `name`")
            first.setdefault(name, here)


def _downgrades(found: Readable) -> Iterator[Problem]:
    models = [model for _, model in found.models]
    for path, model in found.models:
        if model.downgrade and len(models) == len(found.names.get("models", [])) and not cheaper_than(model, models):
            yield Problem((*path, "downgrade"), "no cheaper model is written after this one")


def _addresses(found: Readable) -> Iterator[Problem]:
    parsed = {}
    for section, options in (("server", found.server), ("admin", found.admin)):
        if options is None:
            continue
        parsed[section] = parse_listen(options.listen)
        if parsed[section] is None:
            yield Problem((section, "listen"), f"{quoted(options.listen)} is not an address; write for example 127.0.0.1:8080")
    data, admin = parsed.get("server"), parsed.get("admin")
    if (
        data
        and admin
        and data[1] == admin[1] != 0
        and (data[0] == admin[0] or "0.0.0.0" in {data[0], admin[0]} or "::" in {data[0], admin[0]})
    ):
        yield Problem(("admin", "listen"), "the admin port is the data port; page and metrics never share it")
    if found.admin and admin and found.admin.token is None and not is_loopback(admin[0]):
        yield Problem(("admin",), f"anybody who reaches {admin[0]} could read it; write a `token`, or listen on 127.0.0.1")


def _auth(found: Readable) -> Iterator[Problem]:
    first: dict[str, Path] = {}
    for path, tenant in found.tenants:
        for i, key in enumerate(tenant.keys):
            here = (*path, "keys", i)
            if key.lower() in first:
                yield Problem(
                    here, f"this key belongs to {'this tenant already' if first[key.lower()][:2] == path else 'another tenant too'}"
                )
            first.setdefault(key.lower(), here)
        if not tenant.keys and not (found.auth == "none" and tenant.name == OPEN_TENANT):
            yield Problem((*path, "keys"), f"no key; only the tenant '{OPEN_TENANT}' of `auth: none` goes without")
    if found.auth == "keys" and found.known("tenants") == []:
        yield Problem(("auth",), "no tenant has a key, so nobody could ask; write `tenants`, or `auth: none` to let everybody in")


def _store(found: Readable) -> Iterator[Problem]:
    if found.store is None:
        return
    url = found.store.url.reveal()
    scheme, colon, rest = url.partition("://")
    if url in STORES or (colon and rest and scheme in STORE_SCHEMES):
        return
    yield Problem(("store", "url"), f"write {' or '.join(STORES)}, or a url that begins with {', '.join(s + '://' for s in STORE_SCHEMES)}")


_CHECKS: tuple[Callable[[Readable], Iterator[Problem]], ...] = (
    _names,
    _needed,
    _references,
    _priority,
    _windows,
    _backends,
    _downgrades,
    _addresses,
    _auth,
    _store,
)


def names_in(data: Mapping[str, Any]) -> dict[str, list[tuple[Path, str]]]:
    """Return the names of all items in the sections of decoded data, readable or not, with the items' paths."""
    found: dict[str, list[tuple[Path, str]]] = {}
    for section in NAMED:
        items = data.get(section, [])
        if isinstance(items, list):
            named = [((section, i), item.get("name")) for i, item in enumerate(items) if isinstance(item, dict)]
            found[section] = [(path, name) for path, name in named if isinstance(name, str)]
    if "classes" not in data:
        found["classes"] = [((), DEFAULT_CLASS.name)]
    return found
