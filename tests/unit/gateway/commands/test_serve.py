import argparse

import pytest

from gateway.commands import serve


def parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    serve.add_arguments(parser)
    return parser.parse_args(words)


def test_the_shipped_configuration_is_served_at_the_clocks_own_speed_by_default():
    args = parsed()
    assert (args.config, args.guard, args.clock_speed) == ("config/sluice.yaml", False, 1.0)


@pytest.mark.parametrize("speed", ["0", "-1", "nan"])
def test_a_clock_that_stands_still_or_runs_backwards_is_refused(speed, capsys):
    assert serve.run(parsed("--clock-speed", speed)) == 2
    assert "--clock-speed" in capsys.readouterr().out


def test_a_configuration_that_is_wrong_is_said_line_by_line_with_status_2(tmp_path, capsys):
    path = tmp_path / "bad.yaml"
    path.write_text("modle: enforce\n")
    assert serve.run(parsed("--config", str(path))) == 2
    out = capsys.readouterr().out
    assert f"{path}:1:1 modle: unknown key" in out
