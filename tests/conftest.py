"""For every test: interrupts reach the processes that tests start."""

import signal


def pytest_configure() -> None:
    """Take interrupts seriously again where a shell in the background had them ignored: children would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
