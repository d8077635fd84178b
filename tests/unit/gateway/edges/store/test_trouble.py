"""Reasons are for humans, name the server and never the password."""

import pytest
from redis import exceptions as foreign
from redis.asyncio.sentinel import MasterNotFoundError

from gateway.edges.store.trouble import address_of, is_refusal, reason_of

URL = "rediss://ada:s%C3%A9cret@cache.example:6380/3?ssl_cert_reqs=none"


@pytest.mark.parametrize(
    ("exc", "words", "refused"),
    [
        (foreign.AuthenticationError("invalid username-password pair: sécret"), "does not accept our user or password", False),
        (foreign.BusyLoadingError("LOADING"), "is still loading", False),
        (foreign.ReadOnlyError("READONLY"), "is a read-only replica", True),
        (foreign.OutOfMemoryError("OOM"), "is full", True),
        (foreign.TimeoutError("Timeout reading"), "did not answer within 0.5 s", False),
        (TimeoutError(), "did not answer within 0.5 s", False),
        (foreign.ConnectionError("Error 111 for sécret or s%C3%A9cret"), "cannot be reached: Error 111 for *** or ***", False),
        (MasterNotFoundError("No master found for 'm'"), "cannot be reached: No master found", False),
        (ConnectionResetError("reset"), "cannot be reached: reset", False),
        (foreign.NoPermissionError("NOPERM this user"), "refused: NOPERM this user", True),
        (foreign.ResponseError("ERR anything"), "refused: ERR anything", True),
        (foreign.ResponseError("SLUICE_SCHEMA 9"), "holds counts of layout 9, which a newer build writes", True),
        (foreign.InvalidResponse("?"), "gave an unusable answer: ?", False),
    ],
)
def test_every_trouble_has_its_words(exc: Exception, words: str, refused: bool) -> None:
    said = reason_of(exc, URL, 0.5)
    assert said.startswith("store rediss://cache.example:6380/3 ")
    assert words in said
    assert "cret" not in said
    assert is_refusal(exc) is refused


def test_a_reason_that_the_client_wrapped_is_found() -> None:
    wrapped = foreign.ConnectionError("invalid username-password pair")
    wrapped.__cause__ = foreign.AuthenticationError("invalid username-password pair")
    assert "does not accept our user or password" in reason_of(wrapped, URL, 0.5)


def test_a_socket_s_address_is_its_path() -> None:
    assert address_of("unix:///var/lib/sluice/store.sock") == "unix:///var/lib/sluice/store.sock"
