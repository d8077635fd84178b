"""From a command line to a running worker and back to an exit status.

One process per configuration for now: loop, signals, guard and exit statuses live here, so that several workers behind one
port can come later without touching the worker.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping

from gateway.config.errors import ConfigErrors
from gateway.edges.chance import SystemChance
from gateway.edges.clock import SystemClock
from gateway.process.worker import StartError, Worker

GC_THRESHOLD = 50_000
"""Allocations between collections: with everything long-lived frozen, the default of 700 costs several percent of CPU."""
USAGE = 2
"""Exit status of a start that was refused."""


def supervise(path: str, environ: Mapping[str, str], say: Callable[[str], None], clock_speed: float = 1.0, is_guarded: bool = False) -> int:
    """Run one worker until it is told to stop; return the exit status.

    Args:
        path: the configuration file.
        say: prints one line.
        clock_speed: makes every second of the gateway pass faster; for load tests only.
        is_guarded: stop when standard input is closed: whoever started us is gone.
    """
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        with asyncio.Runner(loop_factory=_new_loop) as runner:
            return runner.run(_live(path, environ, say, clock_speed, is_guarded))
    except ConfigErrors as exc:
        for error in exc.errors:
            say(str(error))
    except StartError as trouble:
        say(f"sluice: {trouble}")
    return USAGE


async def _live(path: str, environ: Mapping[str, str], say: Callable[[str], None], clock_speed: float, is_guarded: bool) -> int:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if is_guarded:
        loop.add_reader(sys.stdin.fileno(), _read_guard, loop, stop)
    worker = Worker(path, environ, SystemClock(clock_speed), SystemChance())
    address = await worker.start()
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    say(f"ready {address}")
    await worker.serve(stop)
    return 0


def _read_guard(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Read what our parent writes (nothing); its end is ours."""
    if not os.read(sys.stdin.fileno(), 1024):
        loop.remove_reader(sys.stdin.fileno())
        stop.set()


def _new_loop() -> asyncio.AbstractEventLoop:
    try:
        import uvloop
    except ImportError:  # Not on Windows; asyncio's own loop serves as well, at more CPU.
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
