"""Tests of what is said about a mistake."""

import pytest

from gateway.config.errors import ConfigError, ConfigErrors, Mark, close_to, meant, path_text


def test_an_error_reads_as_file_line_column_path_and_what_is_wrong() -> None:
    error = ConfigError("config/sluice.yaml", Mark(12, 5), ("slos", 1, "objectve"), "unknown key, did you mean 'objective'?")
    assert str(error) == "config/sluice.yaml:12:5 slos[1].objectve: unknown key, did you mean 'objective'?"


def test_an_error_of_the_whole_file_has_no_path() -> None:
    assert str(ConfigError("x.yaml", Mark(), (), "the file is empty")) == "x.yaml:1:1 the file is empty"


def test_errors_stand_in_the_order_of_the_file() -> None:
    late, early = ConfigError("f", Mark(9, 1), (), "late"), ConfigError("f", Mark(2, 7), (), "early")
    errors = ConfigErrors([late, early])
    assert errors.errors == [early, late]
    assert str(errors) == "f:2:7 early\nf:9:1 late"


@pytest.mark.parametrize(
    ("path", "text"),
    [((), ""), (("mode",), "mode"), (("models", 0, "backends", 2, "url"), "models[0].backends[2].url")],
)
def test_paths_are_written_as_people_write_them(path: tuple[str | int, ...], text: str) -> None:
    assert path_text(path) == text


@pytest.mark.parametrize(("word", "close"), [("objectve", "objective"), ("RPM", "rpm"), ("choose-model", "choose_model"), ("zzz", None)])
def test_the_nearest_known_word_is_proposed(word: str, close: str | None) -> None:
    assert close_to(word, ["objective", "rpm", "choose_model"]) == close


def test_what_is_known_is_listed_when_nothing_is_near() -> None:
    assert meant("zzz", ["a", "b"], "keys") == "known keys: a, b"
    assert meant("zzz", [], "SLOs") == "there are no SLOs"
    assert meant("zzz", [f"n{i:02}" for i in range(40)]).endswith("n15, ...")
