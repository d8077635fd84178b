"""Accounts are never negative and empty when all is over, in whatever order first tokens and ends come."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.placement.load import Entry, Load


@given(
    st.lists(st.tuples(st.integers(0, 50_000), st.one_of(st.none(), st.floats(0.0, 20.0))), min_size=1, max_size=20),
    st.lists(st.tuples(st.integers(0, 19), st.booleans()), max_size=80),
)
def test_pending_is_what_was_sent_and_not_yet_prefilled(sent: list[tuple[int, float | None]], events: list[tuple[int, bool]]) -> None:
    load = Load()
    entries = [Entry(tokens) for tokens, _ in sent]
    for entry, (_, presumed_s) in zip(entries, sent, strict=True):
        load.sent(entry, presumed_s)
    for step, (which, is_end) in enumerate(events):
        entry = entries[which % len(entries)]
        (load.ended if is_end else load.first_token)(entry)
        pending = load.pending_tokens(step / 4)
        assert pending == sum(e.prompt_tokens for e in entries if e.is_pending) >= 0
        assert load.in_flight == sum(not e.is_over for e in entries) and load.waiting == sum(e.is_pending for e in entries)
    for entry in entries:
        load.ended(entry)
    assert (load.pending_tokens(1e9), load.in_flight, load.waiting) == (0, 0, 0)
