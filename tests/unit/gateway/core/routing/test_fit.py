"""Which candidates can hold a request."""

from gateway.core.routing.fit import ANSWER_LEAST, fits
from gateway.domain.catalog import Model, Tariff

LONG, SHORT = (Model(name, Tariff(1, 1), tokens, ()) for name, tokens in (("long", 128_000), ("short", 8_000)))


def test_prompt_and_longest_answer_must_fit_together() -> None:
    assert fits((LONG, SHORT), 7_000, 1_000) == (LONG, SHORT)
    assert fits((LONG, SHORT), 7_000, 1_001) == (LONG,)
    assert fits((LONG, SHORT), 127_000, 1_001) == ()


def test_an_open_answer_needs_a_little_room() -> None:
    assert fits((LONG, SHORT), 8_000 - ANSWER_LEAST, None) == (LONG, SHORT)
    assert fits((LONG, SHORT), 8_000 - ANSWER_LEAST + 1, None) == (LONG,)


def test_the_operators_order_is_kept() -> None:
    assert fits([SHORT, LONG], 10, 10) == (SHORT, LONG)
