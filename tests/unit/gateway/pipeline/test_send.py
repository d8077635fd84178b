"""Answers that are known as a whole, as a client gets them."""

from gateway.domain.errors import GatewayError, Reason
from gateway.pipeline.send import send, send_refusal
from gateway.wire.refusal import refusal
from tests.unit.gateway.pipeline.world import Client


async def test_a_body_is_sent_in_one_piece_and_none_not_at_all():
    for body in (b"{}", b""):
        client = Client()
        await send(client, 200, [("A", "1")], body)
        assert (client.status, client.headers, client.got, client.is_whole) == (200, {"a": "1"}, body, True)


async def test_of_a_backends_headers_those_go_that_we_say_otherwise():
    said, client = refusal(GatewayError(Reason.UPSTREAM_RATE_LIMITED, "no", retry_after_s=3.0)), Client()
    await send_refusal(client, said, [("Retry-After", "99"), ("x-theirs", "1")], [("x-ours", "2")])
    assert client.headers["retry-after"] == "3" and client.headers["x-theirs"] == "1" and client.headers["x-ours"] == "2"
    assert client.got == said.body and ("connection" in client.headers) == said.must_close
