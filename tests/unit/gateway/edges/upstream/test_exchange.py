"""What goes out on a connection, byte by byte."""

import asyncio

from gateway.domain.catalog import Backend, Secret
from gateway.edges.outbox import TurnOutbox
from gateway.edges.upstream.connections import Origin
from gateway.edges.upstream.exchange import Target
from gateway.ports import Call


def call(body: bytes = b'{"a":1}', headers: tuple[tuple[str, str], ...] = (), path: str = "/chat/completions") -> Call:
    return Call(path, body, headers, False, 5.0, 5.0)


async def test_a_request_goes_out_whole_with_host_key_and_length():
    backend = Backend("b", "http://user:word@gpu-1:8000/v1", "m", api_key=Secret("secret"))
    target = Target(backend, Origin(backend.url, 1, asyncio.get_running_loop(), TurnOutbox()))
    head, _, body = target.request(call(headers=(("X-Own", "1"), ("x-own", "caf\udce9")), path="/a?b=%20")).partition(b"\r\n\r\n")
    assert body == b'{"a":1}'
    assert head.split(b"\r\n") == [
        b"POST /v1/a?b=%20 HTTP/1.1",
        b"Host: gpu-1:8000",
        b"Authorization: Bearer secret",
        b"X-Own: 1",
        b"x-own: caf\xe9",
        b"Content-Length: 7",
    ]


async def test_without_a_key_none_is_sent():
    backend = Backend("b", "http://gpu-1/v1", "m")
    target = Target(backend, Origin(backend.url, 1, asyncio.get_running_loop(), TurnOutbox()))
    assert b"uthorization" not in target.request(call())
