"""A backend's accounts: what goes in comes out once."""

from gateway.core.placement.load import Entry, Load


def sent(load: Load, prompt_tokens: int, presumed_s: float | None = None) -> Entry:
    entry = Entry(prompt_tokens)
    load.sent(entry, presumed_s)
    return entry


def test_prompt_tokens_are_pending_until_the_first_token_and_the_request_until_its_end() -> None:
    load = Load()
    a, b = sent(load, 1000), sent(load, 300)
    assert (load.pending_tokens(0.0), load.in_flight, load.waiting) == (1300, 2, 2)
    load.first_token(a)
    load.first_token(a)
    assert (load.pending_tokens(1.0), load.in_flight, load.waiting) == (300, 2, 1)
    load.ended(a)
    load.ended(b)
    load.ended(b)
    load.first_token(b)
    assert (load.pending_tokens(2.0), load.in_flight, load.waiting) == (0, 0, 0)


def test_an_answer_that_is_not_streamed_is_taken_for_prefilled_when_it_should_be() -> None:
    load = Load()
    entry = sent(load, 1000, presumed_s=2.0)
    sent(load, 50)
    assert load.pending_tokens(1.9) == 1050
    assert load.pending_tokens(2.0) == 50
    load.ended(entry)
    assert (load.pending_tokens(3.0), load.in_flight) == (50, 1)


def test_requests_of_other_clients_are_charged_at_our_mean_length_until_the_scrape_is_old() -> None:
    load = Load()
    for _ in range(400):
        load.ended(sent(load, 2000))
    sent(load, 2000)
    load.scraped(waiting=4, running=7, now_s=10.0)
    assert 2000 + 3 * 1990 < load.pending_tokens(12.0) <= 2000 + 3 * 2000
    assert load.requests(12.0) == 11
    assert load.pending_tokens(15.1) == 2000 and load.requests(15.1) == 1


def test_a_scrape_that_sees_less_than_we_know_of_takes_nothing_away() -> None:
    load = Load()
    sent(load, 800)
    load.scraped(waiting=0, running=0, now_s=1.0)
    assert load.pending_tokens(1.0) == 800 and load.requests(1.0) == 1
