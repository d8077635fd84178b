"""Tests of names and digests."""

import pytest

from gateway.config.names import DIGEST, name_problems


@pytest.mark.parametrize("name", ["strong", "gpt-4.1", "org/model:latest", "weak@10.0.0.1:8000", "A" * 100])
def test_ordinary_names_are_right(name: str) -> None:
    assert list(name_problems(name)) == []


@pytest.mark.parametrize("name", ["", "-x", "two words", "a\nb", "naïve", "A" * 101, "a{b}", 'a"b'])
def test_names_that_could_not_be_a_label_or_a_header_are_refused(name: str) -> None:
    assert [p.path for p in name_problems(name)] == [("name",)]


def test_a_name_like_a_router_with_a_threshold_is_refused() -> None:
    assert [p.path for p in name_problems("router-auto-0.5")] == [("name",)]
    assert list(name_problems("router-auto")) == []


def test_a_digest_is_sixty_four_hexadecimal_digits() -> None:
    assert DIGEST.match("sha256:" + "aB" * 32) and DIGEST.match("0" * 64)
    assert not DIGEST.match("sha256:" + "a" * 63) and not DIGEST.match("md5:" + "a" * 64) and not DIGEST.match("g" * 64)
