"""A call that is placed on a model: from bytes on a socket to the facts that the core decides on."""

import asyncio
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Protocol

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import BaseRequest, RequestPayloadError

from gateway.core.dispatcher import Dispatcher
from gateway.core.tenants.directory import Directory
from gateway.domain.catalog import Catalog, Right, Tenant, TrafficClass
from gateway.domain.errors import GatewayError, Reason
from gateway.domain.facts import EMBEDDINGS, Endpoint, RequestFacts
from gateway.domain.value import Value
from gateway.edges.server.limits import slow
from gateway.edges.server.names import klass_of, resolve
from gateway.edges.server.options import ServerOptions
from gateway.ports import Chance, ClientStream, Clock, Headers
from gateway.wire.request import Decoded, decode

ID_CHARS_MAX = 128
DIGITS, SPAN = slice(4, 14), 16.0**10
"""Hexadecimal digits of a fresh request id, which nobody can guess: a draw that costs nothing."""


class Running(Protocol):
    """What one config version means to the server."""

    @property
    def generation(self) -> int: ...  # noqa: D102
    @property
    def catalog(self) -> Catalog: ...  # noqa: D102
    @property
    def dispatcher(self) -> Dispatcher: ...  # noqa: D102
    @property
    def directory(self) -> Directory: ...  # noqa: D102


class Story(Protocol):
    """What becomes of a request once its facts are known; `gateway/pipeline/`."""

    def scored(self, runtime: "Running", asked: Sequence[tuple[RequestFacts, Decoded]]) -> Sequence[tuple[float, ...] | None]:
        """Return predicted qualities of each request's candidates; None where nothing can be chosen."""
        ...

    async def answer(
        self,
        runtime: "Running",
        facts: RequestFacts,
        decoded: Decoded,
        qualities: tuple[float, ...] | None,
        headers: Headers,
        client: ClientStream,
        query: str = "",
        client_request_id: str | None = None,
        is_debugged: bool = False,
    ) -> None:
        """Answer one request, or refuse it."""
        ...

    async def refuse(
        self, runtime: "Running", error: GatewayError, request_id: str, client: ClientStream, client_request_id: str | None = None
    ) -> None:
        """Refuse a request that never became one."""
        ...

    def turned_away(self, runtime: "Running", reason: Reason) -> None:
        """Count a request that never became one and was told so elsewhere."""
        ...

    def judged(self, runtime: "Running", route: str, is_good: bool, weight: float, wall_s: float) -> None:
        """Count a verdict on an answer of this route, to a request of `wall_s`."""
        ...


class Caller(Value, frozen=True):
    """Who calls and how: what the head of a call means under one configuration."""

    generation: int
    """Of the configuration."""
    tenant: Tenant
    klass: TrafficClass
    key: str | None
    """Digest of the key where it has limits of its own."""
    keeps_model: bool
    """The client refuses a downgrade of a model that it names."""
    may_set_threshold: bool
    is_debugged: bool
    client_request_id: str | None


async def read_body(request: BaseRequest, options: ServerOptions, clock: Clock) -> bytes:
    """Return the whole body.

    Raises: GatewayError BODY_TOO_LARGE, SLOW_REQUEST, AMBIGUOUS_REQUEST (broken chunks), BAD_REQUEST (compressed).
    """
    length, content = request.content_length, request.content
    if length is not None and length > options.body_max:
        raise too_large(options)
    if "Content-Encoding" in request.headers and request.headers["Content-Encoding"].lower() != "identity":
        raise GatewayError(Reason.BAD_REQUEST, "compressed request bodies are not understood; send it without content-encoding")
    try:
        if content.is_eof():
            body = content.read_nowait()
            if len(body) <= options.body_max:
                return body
            raise too_large(options)
        transport = request.transport
        if request.headers.get("Expect", "").lower() == "100-continue" and transport is not None:
            transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        parts = bytearray()
        async with asyncio.timeout(clock.real_s(options.read_timeout)):
            while data := await content.readany():
                parts += data
                if len(parts) > options.body_max:
                    raise too_large(options)
        return bytes(parts)
    except TimeoutError as exc:
        raise slow(options) from exc
    except (RequestPayloadError, HttpProcessingError) as exc:
        raise GatewayError(Reason.AMBIGUOUS_REQUEST, "the body's framing is broken") from exc


def too_large(options: ServerOptions) -> GatewayError:
    """Return the error for a body beyond the bound."""
    return GatewayError(Reason.BODY_TOO_LARGE, f"the body takes more than {options.body_max} bytes")


def tenant_of(headers: Mapping[str, str], directory: Directory) -> Tenant:
    """Return whose request this is: by `Authorization: Bearer KEY`, or `x-api-key`.

    Where requests without a key are served, an unknown key is taken for none: SDKs insist on sending one.
    Raises: GatewayError MISSING_KEY, UNKNOWN_KEY.
    """
    key = key_of(headers)
    known = directory.find(digest_of(key)) if key else None
    tenant = known or directory.find(None)
    if tenant is not None:
        return tenant
    if key:
        raise GatewayError(Reason.UNKNOWN_KEY, "this API key is not known here")
    raise GatewayError(Reason.MISSING_KEY, "no API key; send it as `Authorization: Bearer KEY`")


def key_of(headers: Mapping[str, str]) -> str:
    """Return the client's key, empty if it sent none."""
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "").strip()


def digest_of(key: str) -> str:
    """Return the SHA-256 by which a key is known."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def limited_key(tenant: Tenant, headers: Mapping[str, str]) -> str | None:
    """Return the digest of the client's key where it has limits of its own."""
    digest = digest_of(key_of(headers)) if tenant.key_limits else None
    return digest if digest in tenant.key_limits else None


def caller_of(headers: Mapping[str, str], running: Running) -> Caller:
    """Return who calls, and how.

    Raises: GatewayError MISSING_KEY, UNKNOWN_KEY, BAD_REQUEST, NOT_ALLOWED.
    """
    tenant = tenant_of(headers, running.directory)
    return Caller(
        running.generation,
        tenant,
        klass_of(headers.get("x-sluice-class"), running.catalog, tenant),
        limited_key(tenant, headers),
        headers.get("x-sluice-no-downgrade", "0").strip().lower() not in ("0", "false", ""),
        Right.THRESHOLD in tenant.may,
        Right.DEBUG in tenant.may,
        client_request_id(headers),
    )


def facts_of(
    decoded: Decoded, caller: Caller, running: Running, request_id: str, arrived_s: float, chance: Chance, wall_s: float = 0.0
) -> RequestFacts:
    """Return what the core wants to know of a request; `wall_s` is sealed into its id where verdicts on it count.

    Raises: GatewayError UNKNOWN_MODEL, NOT_ALLOWED.
    """
    endpoint, dispatcher = decoded.endpoint, running.dispatcher
    named = resolve(decoded.model, endpoint, running.catalog, caller.tenant, caller.keeps_model)
    route, tenant = named.route, caller.tenant.name
    probe = int(request_id[DIGITS], 16) / SPAN
    if dispatcher.promise(route).awaits_verdicts:
        request_id = chance.sealed(request_id, wall_s, tenant, route)
    text_bytes, prompt_tokens = decoded.text_bytes, decoded.token_ids
    if text_bytes or not prompt_tokens:
        prompt_tokens += dispatcher.state.tokens.prompt(route, text_bytes)
    # By position: names cost 0.6 us here.
    return RequestFacts(
        request_id, endpoint, tenant, caller.klass, route, named.candidates, prompt_tokens, decoded.tokens_max,
        decoded.is_streaming and endpoint is not EMBEDDINGS, arrived_s,
        (chance.keyed(tenant, decoded.conversation_key), probe),
        named.threshold, caller.may_set_threshold, named.named, text_bytes, caller.key, None, decoded.turns,
    )  # fmt: skip


async def answer(
    request: BaseRequest,
    endpoint: Endpoint,
    query: str,
    client: ClientStream,
    running: Running,
    story: Story,
    options: ServerOptions,
    clock: Clock,
    chance: Chance,
) -> None:
    """Read, understand and answer one call that came through aiohttp."""
    headers = request.headers
    request_id = chance.request_id()
    try:
        caller = caller_of(headers, running)
        body = await read_body(request, options, clock)
        arrived_s = clock.now_s()
        decoded = decode(endpoint, body)
        facts = facts_of(decoded, caller, running, request_id, arrived_s, chance, clock.wall_s())
    except GatewayError as error:
        await story.refuse(running, error, request_id, client, client_request_id(headers))
        return
    (qualities,) = story.scored(running, ((facts, decoded),))
    fields = tuple(headers.items())
    await story.answer(running, facts, decoded, qualities, fields, client, query, caller.client_request_id, caller.is_debugged)


def client_request_id(headers: Mapping[str, str]) -> str | None:
    """Return the client's own id for its request, shortened."""
    theirs = headers.get("x-request-id")
    return theirs[:ID_CHARS_MAX] if theirs else None
