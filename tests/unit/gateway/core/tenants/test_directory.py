"""Whose key it is."""

from hashlib import sha256

from gateway.core.tenants.directory import ABSENT, Directory
from gateway.domain.catalog import Catalog, Tenant


def digest(key: str) -> str:
    return sha256(key.encode()).hexdigest()


ACME, OPEN = Tenant("acme", (digest("one"), digest("two").upper()), "critical"), Tenant("anyone", (), "standard")
TENANTS = {t.name: t for t in (ACME, OPEN)}


def test_each_key_of_a_tenant_finds_it_and_another_finds_nobody() -> None:
    directory = Directory(Catalog({}, {}, {}, TENANTS))
    assert directory.find(digest("one")) is ACME and directory.find(digest("two")) is ACME
    assert directory.find(digest("three")) is None and directory.find("") is None and directory.find("é") is None


def test_no_key_finds_the_open_tenant_only_where_it_is_written_out() -> None:
    closed, opened = Directory(Catalog({}, {}, {}, TENANTS)), Directory(Catalog({}, {}, {}, TENANTS, open_tenant="anyone"))
    assert closed.find(None) is None and not closed.is_open
    assert opened.find(None) is OPEN and opened.is_open
    assert opened.find(digest("wrong")) is None


def test_the_stand_in_for_unknown_digests_opens_nothing() -> None:
    assert Directory(Catalog({}, {}, {}, TENANTS, open_tenant="anyone")).find(ABSENT) is None
