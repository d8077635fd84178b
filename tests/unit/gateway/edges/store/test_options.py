"""Defaults of the store section."""

from gateway.edges.store.options import StoreOptions


def test_the_default_store_needs_no_server_and_hides_its_url() -> None:
    options = StoreOptions()
    assert options.url.reveal() == "embedded"
    assert "embedded" not in repr(options)


def test_background_calls_give_up_before_the_next_round_is_due() -> None:
    options = StoreOptions()
    assert options.timeout < options.flush_every
    assert options.timeout < options.poll_every
