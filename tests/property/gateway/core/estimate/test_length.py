"""Estimates stay within their bounds whatever was learned."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.estimate.length import Lengths
from gateway.core.estimate.tokens import Tokens


@given(st.lists(st.integers(0, 200_000), max_size=60), st.one_of(st.none(), st.integers(1, 5000)))
def test_an_expected_length_lies_between_the_shortest_and_longest_seen_and_under_the_limit(seen: list[int], tokens_max: int | None) -> None:
    lengths = Lengths()
    for tokens in seen:
        lengths.learn("r", "m", tokens_max, tokens)
    expected = lengths.expect("r", "m", tokens_max)
    assert min([211, *seen]) <= expected <= max([211, *seen]) or expected == tokens_max
    assert tokens_max is None or expected <= tokens_max


@given(st.lists(st.tuples(st.integers(0, 10**8), st.integers(0, 10**8)), max_size=60), st.integers(0, 10**7))
def test_a_token_is_at_least_a_byte_and_at_most_fifty(seen: list[tuple[int, int]], n_bytes: int) -> None:
    tokens = Tokens()
    for text, reported in seen:
        tokens.learn_prompt("m", text, reported)
    assert max(n_bytes // 50, 1) <= tokens.prompt("m", n_bytes) + 1
    assert tokens.prompt("m", n_bytes) <= max(n_bytes, 1)
