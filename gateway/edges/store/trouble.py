"""Foreign exceptions of the Redis client, told in our words: what is wrong, at which server, without credentials."""

import json
from urllib.parse import unquote, urlsplit

from redis import exceptions as foreign

from gateway.edges.store.keys import SCHEMA

TROUBLES = (foreign.RedisError, OSError, TimeoutError, json.JSONDecodeError)
"""Everything a call may raise when the store is the reason; `OSError` holds TLS trouble too."""

SAID = (
    (foreign.AuthenticationError, "does not accept our user or password"),
    (foreign.BusyLoadingError, "is still loading its data"),
    (foreign.ReadOnlyError, "is a read-only replica now"),
    (foreign.OutOfMemoryError, "is full (maxmemory reached, policy noeviction)"),
)


NEWER = "SLUICE_SCHEMA"
"""How `lua/flush.lua` says that a newer build writes there."""


def address_of(url: str) -> str:
    """Return a store's URL without user, password and parameters."""
    parts = urlsplit(url)
    host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    return f"{parts.scheme}://{host}{parts.path}"


def reason_of(exc: BaseException, url: str, timeout_s: float) -> str:
    """Return one line for humans."""
    where = f"store {address_of(url)}"
    for kind, words in SAID:
        if isinstance(exc, kind) or isinstance(exc.__cause__, kind):  # The client wraps what happens while it connects.
            return f"{where} {words}"
    if isinstance(exc, TimeoutError | foreign.TimeoutError):
        return f"{where} did not answer within {timeout_s:g} s"
    said = _without_password(str(exc) or type(exc).__name__, url)
    if isinstance(exc, foreign.ConnectionError | OSError):
        return f"{where} cannot be reached: {said}"
    if isinstance(exc, foreign.ResponseError) and NEWER in said:
        return (
            f"{where} holds counts of layout {said.split()[-1]}, which a newer build writes and this one (layout {SCHEMA}) cannot read: "
            "upgrade this gateway, or give it a database of its own"
        )
    if isinstance(exc, foreign.ResponseError):
        return f"{where} refused: {said}"
    return f"{where} gave an unusable answer: {said}"


def is_refusal(exc: BaseException) -> bool:
    """Tell a server that answered no from one that did not answer."""
    return isinstance(exc, foreign.ResponseError | json.JSONDecodeError) and not isinstance(exc, foreign.BusyLoadingError)


def _without_password(text: str, url: str) -> str:
    password = urlsplit(url).password
    for secret in {password, unquote(password)} if password else ():
        text = text.replace(secret, "***")
    return text
