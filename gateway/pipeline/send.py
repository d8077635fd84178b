"""Sending a client an answer that is known as a whole."""

from gateway.ports import ClientStream, Headers
from gateway.wire.refusal import Refusal


async def send(client: ClientStream, status: int, headers: Headers, body: bytes) -> None:
    """Send a whole answer."""
    await client.start(status, headers, len(body))
    if body:
        await client.write(body)
    await client.finish()


async def send_refusal(client: ClientStream, said: Refusal, theirs: Headers, ours: Headers) -> None:
    """Send a refusal; of what a backend said in its headers, ours replaces the same names."""
    names = {name.lower() for name, _ in said.headers}
    kept = [(name, text) for name, text in theirs if name.lower() not in names]
    closing = [("connection", "close")] if said.must_close else []
    await send(client, said.status, [*kept, *said.headers, *ours, *closing], said.body)
