"""Clients that are too big, too slow, too many or too clever, over raw sockets."""

import asyncio
import json
import time

import pytest

BODY = json.dumps({"model": "one", "messages": [{"role": "user", "content": "x"}]}).encode()


async def raw(gateway, data: bytes, wait_s: float = 3.0) -> bytes:
    """Send bytes, return all that comes until the other side closes or nothing comes for a while."""
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(data)
    answer = b""
    try:
        async with asyncio.timeout(wait_s):
            while part := await reader.read(65536):
                answer += part
    except (TimeoutError, ConnectionError):
        pass
    writer.close()
    return answer


def request(*headers: bytes, body: bytes = BODY, line: bytes = b"POST /v1/chat/completions HTTP/1.1") -> bytes:
    return b"\r\n".join([line, b"Host: x", *headers, b"", b""]) + body


def length(body: bytes = BODY) -> bytes:
    return b"Content-Length: %d" % len(body)


def error_of(answer: bytes) -> tuple[int, dict]:
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return int(head.split()[1]), error


@pytest.mark.parametrize(
    "evil",
    [
        request(length(), b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", length(), body=b"0\r\n\r\n"),
        request(length(), b"Content-Length: 5"),
        request(length(), length()),
        request(b"Content-Length: +%d" % len(BODY)),
        request(b"Content-Length: 0x10"),
        request(b"Content-Length: -1"),
        request(b"Content-Length: 10, 10"),
        request(b"Content-Length : %d" % len(BODY)),
        request(b"X-Folded: a\r\n b", length()),
        request(b" X-Space: a", length()),
        request(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"zz\r\nabc\r\n0\r\n\r\n"),
        request(b"Transfer-Encoding: chunked", body=b"5\r\nabc\r\n0\r\n\r\n"),
        request(b"X-Nul: a\0b", length()),
        request(b"X-Bare: a\rb", length()),
        request(b"Bad Name: a", length()),
        request(length(), line=b"POST /v1/chat/completions HTTP/9.9"),
        request(
            b"Transfer-Encoding: chunked", line=b"POST /v1/chat/completions HTTP/1.0", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY)
        ),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(50) + b"\r\n\r\n",
    ],
)
async def test_what_two_parsers_could_read_differently_is_refused_and_the_connection_closed(backends, gateways, evil):
    backend = await backends()
    gateway = await gateways([backend.url], server="read_timeout: 1s")
    smuggled = request(length())
    start = time.monotonic()
    answer = await raw(gateway, evil + smuggled)
    assert time.monotonic() - start < 2.9, "the connection was left open"
    assert answer.count(b"HTTP/1.1 ") <= 1 and b"200 OK" not in answer
    assert not backend.seen, f"forwarded: {backend.seen}"
    if answer:
        status, error = error_of(answer)
        assert 400 <= status < 500 and error["type"] == "invalid_request_error"


async def test_a_chunked_body_goes_on_with_its_length(backends, gateways):
    backend = await backends()
    gateway = await gateways([backend.url])
    half = len(BODY) // 2
    chunks = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in (BODY[:half], BODY[half:])) + b"0\r\nX-Trailer: 1\r\n\r\n"
    answer = await raw(gateway, request(b"Transfer-Encoding: chunked", b"Connection: close", body=chunks))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert backend.seen[0].json["messages"] == json.loads(BODY)["messages"]
    assert backend.seen[0].header("content-length") and not backend.seen[0].header("transfer-encoding")
    assert not backend.seen[0].header("x-trailer")


async def test_a_body_beyond_the_limit_is_413_whether_its_length_is_told_or_not(backends, gateways):
    backend = await backends()
    gateway = await gateways([backend.url], server="body_max: 1KiB")
    big = b'{"model":"one","messages":[{"role":"user","content":"' + b"x" * 5000 + b'"}]}'
    for told in (request(length(big), body=big), request(b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(big), big))):
        status, error = error_of(await raw(gateway, told))
        assert (status, error["code"]) == (413, "body_too_large")
    status, error = error_of(await raw(gateway, request(b"Content-Length: 100000000000", body=b"x" * 100)))
    assert status == 413 and not backend.seen
    assert gateway.books.away == ["body_too_large"] * 3


@pytest.mark.parametrize("shape", ["one field", "many fields", "long path", "dripping", "two hundred"])
async def test_a_head_beyond_the_limit_is_431(backends, gateways, shape):
    backend = await backends()
    gateway = await gateways([backend.url], server="headers_max: 4KiB")
    if shape == "one field":
        data = request(b"X-Big: " + b"x" * 6000, length())
    elif shape == "many fields":
        data = request(*[b"X-%d: " % i + b"x" * 200 for i in range(30)], length())
    elif shape == "long path":
        data = request(length(), line=b"POST /v1/chat/completions?" + b"x" * 6000 + b" HTTP/1.1")
    elif shape == "two hundred":
        data = request(*[b"X-%d: x" % i for i in range(200)], length())
    else:
        reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
        writer.write(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\n")
        for i in range(50):
            writer.write(b"X-%d: %b\r\n" % (i, b"x" * 200))
            await asyncio.sleep(0)
            await asyncio.sleep(0.002)
        status, error = error_of(await reader.read())
        assert (status, error["code"]) == (431, "headers_too_large")
        return
    status, error = error_of(await raw(gateway, data))
    assert (status, error["code"]) == (431, "headers_too_large")
    assert not backend.seen


@pytest.mark.parametrize("slow", ["head", "body", "chunked body"])
async def test_a_sender_who_dawdles_is_told_408_and_closed(backends, gateways, slow):
    backend = await backends()
    gateway = await gateways([backend.url], server="read_timeout: 400ms")
    data = {
        "head": b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nX-A",
        "body": request(length(), body=BODY[:10]),
        "chunked body": request(b"Transfer-Encoding: chunked", body=b"5\r\n{"),
    }[slow]
    start = time.monotonic()
    status, error = error_of(await raw(gateway, data))
    assert (status, error["code"]) == (408, "request_timeout")
    assert 0.35 < time.monotonic() - start < 2.9
    assert gateway.books.away == ["request_timeout"] and not backend.seen


async def test_a_byte_now_and_then_does_not_keep_a_head_alive(gateways):
    gateway = await gateways(["http://127.0.0.1:1/v1"], server="read_timeout: 500ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    start = time.monotonic()
    answer = asyncio.ensure_future(reader.read())
    writer.write(b"GET /")
    while time.monotonic() - start < 3 and not answer.done():
        writer.write(b"x")
        await asyncio.sleep(0.05)
    assert 0.4 < time.monotonic() - start < 1.5
    assert error_of(await answer)[0] == 408


async def test_an_idle_connection_is_closed(gateways):
    gateway = await gateways(["http://127.0.0.1:1/v1"], server="idle: 300ms")
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    start = time.monotonic()
    await reader.read()
    assert 0.2 < time.monotonic() - start < 1.5
    writer.close()


async def test_connections_beyond_the_limit_are_closed_at_once_and_others_go_on(gateways):
    gateway = await gateways(["http://127.0.0.1:1/v1"], server="connections_max: 3")
    held = [await asyncio.open_connection("127.0.0.1", gateway.at) for _ in range(3)]
    await asyncio.sleep(0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    assert await asyncio.wait_for(reader.read(), 1) == b""
    held[0][1].write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await held[0][0].readline()).startswith(b"HTTP/1.1 200")
    held[1][1].close()
    await asyncio.sleep(0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    for _, w in held:
        w.close()


async def test_streams_beyond_the_limit_are_told_to_come_back(backends, gateways):
    backend = await backends()

    async def script(wire, _seen):
        await wire.reader.read(1)

    backend.script = script
    gateway = await gateways([backend.url], server="streams_max: 2")
    held = []
    for _ in range(2):
        held.append(await asyncio.open_connection("127.0.0.1", gateway.at))
        held[-1][1].write(request(length()))
    await asyncio.sleep(0.2)
    answer = await raw(gateway, request(length(), b"Connection: close"))
    status, error = error_of(answer)
    assert (status, error["code"]) == (429, "limit_streams") and b"retry-after" in answer.lower()
    assert b"200 OK" in await raw(gateway, b"GET /health HTTP/1.1\r\nConnection: close\r\nHost: x\r\n\r\n"), "health is no stream"
    for _, writer in held:
        writer.close()


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(backends, gateways):
    backend = await backends()
    gateway = await gateways([backend.url])
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.at)
    writer.write(request(length(), b"Expect: 100-continue", body=b""))
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 1) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(BODY)
    assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert not backend.seen[0].header("expect")
    writer.close()


async def test_pipelined_requests_are_answered_in_order(backends, gateways):
    backend = await backends()

    async def script(wire, seen):
        text = seen.json["messages"][0]["content"]
        await asyncio.sleep(0.1 if text == "0" else 0)
        await wire.json(200, json.dumps({"choices": [{"message": {"content": text}}]}).encode())

    backend.script = script
    gateway = await gateways([backend.url])
    data = b""
    for i in range(5):
        body = json.dumps({"model": "one", "messages": [{"role": "user", "content": str(i)}]}).encode()
        data += request(length(body), body=body)
    answer = await raw(gateway, data, wait_s=1.0)
    said = [json.loads(part.partition(b"\r\n\r\n")[2])["choices"][0]["message"]["content"] for part in answer.split(b"HTTP/1.1 200 OK")[1:]]
    assert said == ["0", "1", "2", "3", "4"]


async def test_a_compressed_body_is_refused_before_it_can_unfold(backends, gateways):
    import gzip

    backend = await backends()
    gateway = await gateways([backend.url])
    bomb = gzip.compress(bytes(50_000_000))
    status, error = error_of(await raw(gateway, request(length(bomb), b"Content-Encoding: gzip", body=bomb)))
    assert status == 400 and "compressed" in error["message"] and not backend.seen
