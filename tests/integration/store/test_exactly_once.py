"""Counts are exact through lost replies, forgotten scripts, roll-backs, an emptied and a full store."""

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from gateway.core.budget.counts import Counts
from gateway.domain.prices import Prices
from gateway.edges.store.embedded import EmbeddedServer
from gateway.edges.store.keys import SCHEMA, WIDTHS, ControlKeys, FeedbackKeys, GroupKeys
from gateway.edges.store.redis import SETTLED_S
from gateway.edges.store.scripts import Script
from gateway.ports import StoreAway

HOUR = int(time.time() // 3600) - 48
"""A full hour of the day before yesterday: the server's clock allows no slot that lies ahead."""


class Proxy:
    """A Unix socket before the server that forwards all requests and loses the replies it is told to."""

    def __init__(self, front: Path, back: str) -> None:
        self.url, self._front, self._back = f"unix://{front}", front, back.removeprefix("unix://")
        self.replies_to_lose = 0
        self.lost = 0
        self._serving: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._serve, self._front)

    async def stop(self) -> None:
        self._server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(asyncio.create_task(self._relay(reader, writer)))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back_reader, back_writer = await asyncio.open_unix_connection(self._back)
        forward = asyncio.create_task(self._forward(reader, back_writer))
        while reply := await back_reader.read(65536):
            if self.replies_to_lose:
                self.replies_to_lose -= 1
                self.lost += 1
                break
            writer.write(reply)
        forward.cancel()
        writer.close()
        back_writer.close()

    async def _forward(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            back.write(data)


@pytest.fixture
async def proxy(session_url: str, directory: Path) -> AsyncIterator[Proxy]:
    one = Proxy(directory / "p.sock", session_url)
    await one.start()
    yield one
    await one.stop()


async def flush_until_done(store, tries: int = 60) -> None:  # type: ignore[no-untyped-def]
    for _ in range(tries):
        try:
            await store.flush()
            return
        except StoreAway:
            await asyncio.sleep(0.05)
    raise AssertionError(store.health)


async def test_a_lost_reply_is_not_counted_twice(replica, proxy: Proxy) -> None:  # type: ignore[no-untyped-def]
    one = replica("boot-1", proxy.url)
    one.book("n", 1)
    await one.store.flush()
    for n in range(5):
        one.book("n", 10)
        proxy.replies_to_lose = 1
        with pytest.raises(StoreAway):
            await one.store.flush()
        assert one.store.health.is_away
        one.book("n", 100)
        await flush_until_done(one.store)
        assert await one.total("n") == 1 + 110 * (n + 1)
    assert proxy.lost == 5
    assert not one.store.health.is_away
    assert one.store.health.pending_batches == 0


async def test_a_copy_of_a_batch_changes_nothing(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica("boot-1")
    keys, script = GroupKeys("fleet"), Script("flush")

    async def send(seq: int, believed: int, amount: int) -> int:
        names = [keys.sequence("other"), keys.schema, *keys.touched, keys.slot(3600, HOUR)]
        return int((await script.run(client, names, [seq, believed, 60, 60, 60, 60, SCHEMA, 0, 20, 3, HOUR, 1, "n", amount]))[0])

    assert await send(5, 0, 1) == 5, "first contact starts wherever the replica's batches start"
    assert await send(5, 0, 1) == 5
    assert await send(6, 5, 10) == 6
    assert await send(5, 4, 1) == 6
    assert await send(8, 7, 100) == 6, "7 is missing"
    assert await send(8, 6, 100) == 8, "7 cannot be had any more"
    assert await send(5, 8, 1) == 8
    assert await one.total("n") == 111


async def test_a_field_that_cannot_be_counted_does_not_stop_the_others(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    one.book("n", 1, HOUR * 3600.0)
    await one.store.flush()
    await client.hset(GroupKeys("fleet").slot(3600, HOUR), "n", "not a number")
    one.recorder.book([("n", 1), ("m", 1)], HOUR * 3600.0)
    assert await one.store.flush() == 1
    assert await client.hget(GroupKeys("fleet").slot(3600, HOUR), "m") == "1"
    with pytest.raises(StoreAway, match="holds a counter that is no number"):
        await one.store.slots(0)


async def test_scripts_that_the_server_forgot_are_sent_again(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    for _ in range(2):
        one.book("n", 1)
        await one.store.flush()
        await client.script_flush()
    assert await one.total("n") == 2


async def test_a_server_without_evalsha_and_script_is_good_enough(replica, client: Redis, session_url: str) -> None:  # type: ignore[no-untyped-def]
    await client.execute_command("ACL", "SETUSER", "ada", "on", ">pa:ss", "~sluice:*", "+@all", "-evalsha", "-script", "-info")
    one = replica("boot-1", session_url.replace("unix://", "unix://ada:pa%3Ass@"))
    for _ in range(2):
        one.book("n", 1)
        await one.store.flush()
    assert await one.total("n") == 2
    await one.store.poll()
    assert not one.store.health.is_away
    assert one.store.health.memory_fill is None


async def test_a_wrong_password_is_said_without_the_password(replica, client: Redis, session_url: str) -> None:  # type: ignore[no-untyped-def]
    one = replica("boot-1", session_url.replace("unix://", "unix://ada:hunter2@"))
    with pytest.raises(StoreAway, match="does not accept our user or password") as raised:
        await one.store.poll()
    assert "hunter2" not in str(raised.value)


async def test_a_flush_ends_although_more_is_booked_all_the_time(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    """Else a busy gateway would flush without pause, and its ring would hold seconds instead of two minutes."""
    one = replica()
    send, sent = one.store._run_script, 0

    async def busy(*args: object, **more: object) -> object:
        nonlocal sent
        sent += 1
        one.book("n", 1)
        one.book("late", 1, HOUR * 3600.0)
        return await send(*args, **more)

    one.store._run_script = busy
    for back in range(100):
        one.book("n", 1, one.clock.wall_s() - 10.0 * back)
    assert await asyncio.wait_for(one.store.flush(), 5.0) == 2
    assert sent == 2
    assert one.recorder.numbers == [HOUR * 360, int(one.clock.wall_s() // 10)], "what came meanwhile waits, what was there does not"
    one.store._run_script = send
    assert await one.store.flush() == 1
    assert await one.total("n") == 102


async def test_an_emptied_store_gets_back_what_the_ring_holds(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    for _ in range(5):
        one.book("n", 1)
        await one.store.flush()
    await client.flushall()
    await one.store.flush()  # Nothing new to write: it asks, and notices.
    assert await one.total("n") == 5
    assert one.store.health.rollbacks == 1
    assert one.store.health.lost_batches == 0


async def test_a_leader_can_publish_after_the_store_forgot_its_tokens(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one, two = replica("one"), replica("two")
    for _ in range(5):
        await one.store.lead(30.0)
        await one.store.resign()
    token = await one.store.lead(30.0)
    assert await one.store.publish(Prices(1, token, "", 0.0, "x"), {}, {})
    kept = await client.hgetall(ControlKeys.published)
    await client.flushall()
    fresh = await two.store.lead(30.0)
    assert fresh < token
    assert not await one.store.publish(Prices(1, token, "", 0.0, "x"), {}, {}), "overtaken: the lease is not its own"
    await client.hset(ControlKeys.published, mapping=kept)  # As if only the tokens had been lost.
    assert not await two.store.publish(Prices(1, fresh, "", 0.0, "x"), {}, {})
    fresh = await two.store.lead(30.0)
    assert fresh == token + 1
    assert await two.store.publish(Prices(2, fresh, "", 0.0, "x"), {}, {})
    assert not await one.store.publish(Prices(3, token, "", 0.0, "x"), {}, {})


async def test_two_leaders_with_the_same_token_cannot_both_write(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one, two = replica("one"), replica("two")
    token = await one.store.lead(30.0)
    await client.delete(ControlKeys.fence, ControlKeys.lease)  # Rolled back: the token is handed out once more.
    assert await two.store.lead(30.0) == token
    assert await two.store.publish(Prices(1, token, "", 0.0, "x"), {}, {})
    assert not await one.store.publish(Prices(2, token, "", 0.0, "x"), {}, {})


async def test_a_reader_gets_what_changed_and_only_that(replica, client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("gateway.edges.store.redis.CURSOR_MARGIN_S", 0.0)
    one, hours = replica(), [HOUR, HOUR + 1, HOUR + 2]
    for hour in hours:
        one.book("n", 1, hour * 3600.0)
    await one.store.flush()
    marks = []
    for _ in range(2):
        marks.append(one.clock.wall_s())
        await one.store.slots(0)
    one.book("n", 1, hours[1] * 3600.0)
    await one.store.flush()
    assert {(w, n): t for w, n, t in await one.store.slots(marks[1] + 0.001) if w == 3600} == {(3600, hours[1]): {"n": 2}}
    assert await one.store.slots(one.clock.wall_s()) == []


async def test_a_reader_reads_everything_again_after_any_silence(replica, client: Redis, proxy: Proxy) -> None:  # type: ignore[no-untyped-def]
    """INFO is forbidden here, so that nothing but the silence itself tells that the server may be another one."""
    await client.execute_command("ACL", "SETUSER", "bob", "on", ">pass", "~sluice:*", "+@all", "-info")
    one = replica("boot-1", proxy.url.replace("unix://", "unix://bob:pass@"))
    one.book("n", 1)
    await one.store.flush()
    for _ in range(3):
        await one.store.slots(0)
    await asyncio.sleep(2.1)
    mark_s = one.clock.wall_s()
    await one.store.slots(0)
    assert await one.store.slots(mark_s + 0.5) == []
    proxy.replies_to_lose = 1
    with pytest.raises(StoreAway):
        await one.store.poll()
    await asyncio.sleep(0.06)
    assert len(await one.store.slots(mark_s + 0.5)) == 3


async def test_a_reader_reads_everything_again_from_a_restarted_server(replica, server, directory: Path) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 1)
    await one.store.flush()
    await one.store.slots(0)
    mark_s = one.clock.wall_s()
    one.store._cursors.append((mark_s, 1e12))  # As if nothing could have changed since.
    assert await one.store.slots(mark_s) == []
    cursors = list(one.store._cursors)
    await own.stop()
    await server()
    one.store._cursors.extend(cursors)
    assert len(await one.store.slots(mark_s)) == 3


async def test_a_full_store_is_away_and_loses_nothing(replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    one.book("n", 1)
    await one.store.flush()
    plain = Redis.from_url(own.url)
    await plain.config_set("maxmemory", "1mb")
    one.book("n", 1)
    with pytest.raises(StoreAway, match="is full"):
        await one.store.flush()
    await one.store.poll()
    assert one.store.health.is_away, "it can be read, but budgets cannot be written"
    assert one.store.health.memory_fill > 1.0
    await plain.config_set("maxmemory", "64mb")
    await one.store.flush()
    assert not one.store.health.is_away
    assert await one.total("n") == 2
    await plain.aclose()


async def test_a_store_in_which_a_newer_build_writes_is_refused_and_nothing_is_lost(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    one.book("n", 1)
    await client.hset(GroupKeys("fleet").schema, "version", SCHEMA + 1)
    for _ in range(2):
        with pytest.raises(StoreAway, match=rf"layout {SCHEMA + 1}, which a newer build writes .* upgrade this gateway"):
            await one.store.flush()
    assert one.store.health.is_away
    assert not [key async for key in client.scan_iter("*:slot:*")]
    await client.hset(GroupKeys("fleet").schema, "version", SCHEMA)
    await one.store.flush()
    assert await one.total("n") == 1
    assert one.store.health.schema_before is None


async def test_counts_of_an_older_layout_stay_unread_and_that_is_said(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one, two = replica("one"), replica("two")
    await client.hset(GroupKeys("fleet").schema, "version", "0.5")  # There is no layout 0; anything below ours will do.
    one.book("n", 1)
    await one.store.flush()
    two.book("n", 1)
    await two.store.flush()
    assert await client.hget(GroupKeys("fleet").schema, "version") == str(SCHEMA)
    assert [r.store.health.schema_before for r in (one, two)] == ["0.5", "0.5"]


async def test_a_clock_that_runs_ahead_counts_in_the_servers_present(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    now_s = time.time()
    one.clock.wall_s = lambda: time.time() + 3 * 86_400.0
    one.book("n", 1)
    one.book("n", 2, now_s - 86_400.0)
    one.book("n", 4, now_s - 400 * 86_400.0)
    assert await one.store.flush() == 1
    assert one.store.health.clock_offset_s == pytest.approx(-3 * 86_400.0, abs=5.0)
    found = {n: t["n"] for w, n, t in await one.store.slots(0) if w == 3600}
    present, yesterday, oldest = (int((now_s - back_s) // 3600) for back_s in (0, 86_400, WIDTHS[-1].kept_s))
    assert found in ({present: 1, yesterday: 2, oldest: 4}, {present + 1: 1, yesterday: 2, oldest + 1: 4}), "no total is lost"
    one.book("n", 8)
    assert await one.store.flush() == 1
    assert await one.total("n") == 15
    assert await client.get(GroupKeys("fleet").sequence("boot-1")) == "2"


@pytest.mark.parametrize("jump_s", [-7200.0, 7200.0])
async def test_a_reader_whose_clock_jumps_misses_nothing_and_counts_nothing_twice(replica, client: Redis, jump_s: float) -> None:  # type: ignore[no-untyped-def]
    one, two, offset_s = replica("one"), replica("two"), 0.0
    one.clock.wall_s = lambda: time.time() + offset_s
    counts, read_s, seen = Counts(), 0.0, 0
    for step in range(6):
        if step == 2:
            offset_s = jump_s
        if step == 4:
            offset_s = 0.0
        one.book("n", 1)
        two.book("n", 10, time.time() - 3 * 3600.0 * (step % 2))
        for each in (one, two):
            await each.store.flush()
        now_s = one.clock.wall_s()
        seen += counts.update(await one.store.slots(read_s)).get("n", 0)
        read_s = now_s
        assert seen == 11 * (step + 1) == await two.total("n")


async def test_a_server_that_loses_single_keys_is_found_out(replica, client: Redis, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr("gateway.edges.store.redis.COMPARE_EVERY_S", 0.0)
    one, keys = replica(), GroupKeys("fleet")
    number = int((time.time() - SETTLED_S) // 300) - 1
    for at_s in range(number * 300, number * 300 + 300, 7):
        one.book("n", 3, float(at_s))
        one.book("m", 1, float(at_s))
    await one.store.flush()
    await one.store.slots(0)
    assert one.store.health.mismatches == 0
    lost = int((await client.hgetall(keys.slot(10, number * 30 + 4)))["n"])
    await client.delete(keys.slot(10, number * 30 + 4))
    await one.store.slots(0)
    assert one.store.health.mismatches == 1
    assert "2 counters of the five minutes" in one.store.health.last_mismatch
    assert f"n: {43 * 3} against {43 * 3 - lost}" in one.store.health.last_mismatch or "m: 43" in one.store.health.last_mismatch
    await client.delete(keys.slot(300, number))
    await one.store.slots(0)
    assert one.store.health.mismatches == 2


async def test_verdicts_and_published_prices_hold_nothing_but_what_they_should(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    await one.store.feedback("req_1", "acme", {"good": True}, 86_400.0 * 20_000)
    assert await client.hgetall(FeedbackKeys.day(20_000)) == {"req_1:acme": '{"tenant": "acme", "verdict": {"good": true}}'}
    assert 0 < await client.ttl(FeedbackKeys.day(20_000)) <= 35 * 86_400
    await client.hset(ControlKeys.published, "prices", '{"schema": 99}')
    with pytest.raises(StoreAway, match="cannot read: prices of schema 99"):
        await one.store.poll()


async def test_every_counter_key_expires(replica, client: Redis) -> None:  # type: ignore[no-untyped-def]
    one = replica()
    one.book("n", 1)
    await one.store.flush()
    keys = [k async for k in client.scan_iter("sluice:*")]
    slots = [k for k in keys if ":slot:" in k or ":seq:" in k]
    assert len(slots) == 4
    for key in slots:
        assert await client.ttl(key) > 0, key


async def test_an_outage_of_an_hour_is_written_in_one_go(replica, server) -> None:  # type: ignore[no-untyped-def]
    own: EmbeddedServer = await server()
    one = replica("boot-1", own.url)
    now_s = one.clock.wall_s()
    one.book("n", 1, now_s - 3600)
    await one.store.flush()
    await own.stop()
    for second in range(3600):
        one.recorder.book([("n", 1), *((f"f{i}", 1) for i in range(40))], now_s - 3600 + second)
        if second % 900 == 0:
            with pytest.raises(StoreAway):
                await one.store.flush()
    again: EmbeddedServer = await server()
    assert again.url == own.url
    await flush_until_done(one.store)
    assert await one.total("n") == 3601
    assert await one.total("n", 300) == 3601
    assert one.store.health.pending_batches == 0


@pytest.mark.slow
async def test_totals_are_exact_through_roll_backs_of_the_server(replica, server, directory: Path) -> None:  # type: ignore[no-untyped-def]
    """Three replicas; the server is killed and comes back with an older append-only file, again and again."""
    draw = random.Random(11)
    own: EmbeddedServer = await server()
    replicas = [replica(f"boot-{i}", own.url) for i in range(3)]
    expected, copy = 0, directory.with_name(directory.name + "-copy")
    for _ in range(5):
        for step in range(20):
            for one in replicas:
                n = draw.randint(1, 9)
                expected += n
                one.book("n", n)
                if draw.random() > 0.2:
                    await flush_until_done(one.store)
            if step == 10:
                shutil.copytree(directory / "appendonlydir", copy)
        await own.stop()
        shutil.rmtree(directory / "appendonlydir")
        copy.rename(directory / "appendonlydir")
        own = await server()
    for one in replicas:
        await flush_until_done(one.store)
    assert await replicas[0].total("n") == expected
    assert await replicas[0].total("n", 10) == expected
    assert all(r.store.health.rollbacks >= 4 and r.store.health.lost_batches == 0 for r in replicas)
