"""What is wrong with a body that could not be read: where it is, and what to send instead."""

import re

import msgspec

from gateway.domain.errors import GatewayError, Reason

_BYTE = re.compile(r"(?:JSON is malformed: )?(.*) \(byte (\d+)\)$")
_EXPECTED = re.compile(r"Expected `(.+)`, got `(.+?)`")
_PATH = re.compile(r" - at `\$(.*)`$")
_MISSING = re.compile(r"Object missing required field `(.+?)`")
# Pairs and escaped backslashes are stepped over; what is left in the group is half a pair.
_HALF_PAIR = re.compile(rb"\\\\|\\u[dD][89abAB]..\\u[dD][c-fC-F]..|(\\u[dD][89a-fA-F]..)")
_CONSTANTS = (b"NaN", b"Infinity", b"-Infinity")
_WORDS = {"str": "a string", "int": "an integer", "float": "a number", "bool": "a boolean", "array": "an array", "object": "an object"}


def malformed(body: bytes, cause: Exception, levels_max: int) -> GatewayError:
    """Turn what msgspec or the UTF-8 decoder said about `body` into our words.

    cause: msgspec.DecodeError, its subclass ValidationError, UnicodeDecodeError or RecursionError.
    """
    if isinstance(cause, msgspec.ValidationError):
        return unfit(cause)
    if isinstance(cause, UnicodeDecodeError):
        return GatewayError(Reason.BAD_JSON, f"the body is not UTF-8 {_place(body, cause.start)}; encode it as UTF-8")
    if isinstance(cause, RecursionError):
        return too_deep(levels_max)
    if not body.strip():
        return GatewayError(Reason.BAD_JSON, "the body is empty; send a JSON object")
    for found in _HALF_PAIR.finditer(body):
        if found.group(1):
            where = _place(body, found.start())
            return GatewayError(Reason.BAD_JSON, f"the body has half a surrogate pair {where}; text cut inside a character is no text")
    if (told := _BYTE.match(str(cause))) is None:
        return GatewayError(Reason.BAD_JSON, f"the body is not valid JSON: it ends too early, after {len(body)} bytes")
    at = int(told.group(2))
    if body.startswith(_CONSTANTS, at):
        return GatewayError(Reason.BAD_JSON, f"the body is not valid JSON {_place(body, at)}: JSON has no NaN and no Infinity; use null")
    if body.startswith(b"\xef\xbb\xbf"):
        return GatewayError(Reason.BAD_JSON, "the body starts with a byte order mark; send plain UTF-8")
    return GatewayError(Reason.BAD_JSON, f"the body is not valid JSON {_place(body, at)}: {told.group(1)}")


def unfit(cause: msgspec.ValidationError, inside: str = "") -> GatewayError:
    """Turn a value of the wrong type, or a missing one, into our words; `inside` names the member that was read."""
    text = str(cause)
    path = _PATH.search(text)
    param = (inside + (path.group(1) if path else "")).lstrip(".")
    if missing := _MISSING.match(text):
        param = f"{param}.{missing.group(1)}".lstrip(".")
        return GatewayError(Reason.BAD_REQUEST, f"`{param}` is missing; it is required", param)
    told = _EXPECTED.match(text)
    what = f"must be {_words(told.group(1))}, not {_words(told.group(2))}" if told else f"cannot be read: {text}"
    if not param:
        return GatewayError(Reason.BAD_REQUEST, f"the body {what}")
    return GatewayError(Reason.BAD_REQUEST, f"`{param}` {what}", param)


def too_deep(levels_max: int) -> GatewayError:
    """Say that a body is nested deeper than `levels_max`."""
    return GatewayError(Reason.BAD_JSON, f"the body is nested more than {levels_max} levels deep; flatten it")


def _words(types: str) -> str:
    return " or ".join(_WORDS.get(kind, kind) for kind in types.split(" | "))


def _place(body: bytes, at: int) -> str:
    line = body.count(b"\n", 0, at) + 1
    column = at - (body.rfind(b"\n", 0, at) + 1) + 1
    return f"at line {line}, column {column} (byte {at})"
