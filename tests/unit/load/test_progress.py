"""Progress: one renewing line on a terminal, ten lines elsewhere."""

import io

from load.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_file_gets_a_line_for_every_tenth() -> None:
    out = io.StringIO()
    progress = Progress("x", 100.0, out)
    for second in range(101):
        progress.show(float(second), f"n {second}")
    progress.close()
    lines = out.getvalue().splitlines()
    assert len(lines) == 11
    assert lines[5] == "x  50% 50 s  n 50"


def test_a_terminal_gets_one_line_that_renews_itself() -> None:
    out = Terminal()
    progress = Progress("x", 100.0, out)
    progress.show(50.0, "half")
    progress.show(200.0, "over")
    progress.close()
    assert out.getvalue().count("\n") == 1
    assert "100%" in out.getvalue().split("\r")[-1]
