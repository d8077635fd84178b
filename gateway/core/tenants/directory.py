"""Directory: whose key is this.

Constant time: the table is keyed by SHA-256 digests, and a probe with a chosen key cannot steer its digest, so how long
a dictionary takes to compare two digests tells nothing about any key. The match is confirmed with `compare_digest`
nevertheless, and an unknown key takes the same two steps as a known one.
"""

from hmac import compare_digest

from gateway.domain.catalog import Catalog, Tenant

ABSENT = "0" * 64
"""Compared with when a digest is unknown; no one can present a key that hashes to it."""


class Directory:
    """The tenants of one config version."""

    def __init__(self, catalog: Catalog) -> None:
        self._by_digest = {digest.lower(): tenant for tenant in catalog.tenants.values() for digest in tenant.key_digests}
        self._digests = {digest: digest for digest in self._by_digest}
        self._open = None if catalog.open_tenant is None else catalog.tenants[catalog.open_tenant]

    @property
    def is_open(self) -> bool:
        """Whether requests without a key are served."""
        return self._open is not None

    def find(self, digest_hex: str | None) -> Tenant | None:
        """Return the tenant of a key's SHA-256 (lower-case hex), None when unknown; `None` asks for the open tenant."""
        if digest_hex is None:
            return self._open
        if not digest_hex.isascii():
            return None
        known = self._digests.get(digest_hex, ABSENT)
        return self._by_digest[known] if compare_digest(known, digest_hex) and known is not ABSENT else None
