"""What is put into the outbox goes out at the end of the turn, in order, and to nobody who has left."""

import asyncio
from typing import Any

from gateway.edges.outbox import TurnOutbox


class Wire(asyncio.Transport):
    """Notes what is written, and refuses to be written to once closed, as uvloop's do."""

    def __init__(self, log: list[bytes]) -> None:
        super().__init__()
        self._log, self._is_closed = log, False

    def write(self, data: Any) -> None:
        assert not self._is_closed
        self._log.append(bytes(data))

    def is_closing(self) -> bool:
        return self._is_closed

    def close(self) -> None:
        self._is_closed = True


async def test_all_of_a_turn_goes_out_together_in_the_order_it_came():
    log: list[bytes] = []
    box, one, other = TurnOutbox(), Wire(log), Wire(log)
    box.put(one, b"a")
    box.put(other, b"b")
    asyncio.get_running_loop().call_soon(log.append, b"a callback that came later")
    box.put(one, b"c")
    assert log == []
    await asyncio.sleep(0)
    assert log == [b"a", b"b", b"c", b"a callback that came later"]
    box.put(one, b"d")
    await asyncio.sleep(0)
    assert log[-1] == b"d"


async def test_one_that_closed_meanwhile_is_passed_over_and_harms_nobody():
    log: list[bytes] = []
    box, gone, here = TurnOutbox(), Wire(log), Wire(log)
    box.put(gone, b"a")
    box.put(here, b"b")
    gone.close()
    await asyncio.sleep(0)
    assert log == [b"b"]


async def test_who_closes_next_has_it_sent_at_once():
    log: list[bytes] = []
    box, wire = TurnOutbox(), Wire(log)
    box.put(wire, b"a")
    box.post()
    wire.close()
    assert log == [b"a"]
    await asyncio.sleep(0)
    assert log == [b"a"]
