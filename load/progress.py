"""How far a run is, on standard error: one line that renews itself on a terminal, else a line for every tenth."""

import sys
from typing import TextIO

WIDTH = 30
TENTHS = 10


class Progress:
    """Progress of one run of known length."""

    def __init__(self, title: str, total_s: float, stream: TextIO | None = None) -> None:
        self._title, self._total_s, self._stream = title, total_s, stream if stream is not None else sys.stderr
        self._is_live, self._told = self._stream.isatty(), -1

    def show(self, now_s: float, said: str = "") -> None:
        """Show that `now_s` of the scenario have passed, with a few words on what was seen."""
        share = min(1.0, max(0.0, now_s / self._total_s))
        if self._is_live:
            done = round(share * WIDTH)
            self._stream.write(f"\r\x1b[K{self._title} [{'#' * done}{'.' * (WIDTH - done)}] {share:4.0%} {now_s:.0f} s  {said}")
        elif int(share * TENTHS) > self._told:
            self._told = int(share * TENTHS)
            self._stream.write(f"{self._title} {share:4.0%} {now_s:.0f} s  {said}\n")
        self._stream.flush()

    def close(self) -> None:
        """Leave the line."""
        if self._is_live:
            self._stream.write("\n")
            self._stream.flush()
