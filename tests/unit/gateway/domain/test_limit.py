"""What travels between a holder and the store."""

from gateway.domain.limit import Ask, Granted, Limit, LimitKind


def test_a_limit_is_the_same_limit_wherever_it_is_built() -> None:
    one, other = (Limit("acme", "tenant/requests", LimitKind.REQUESTS, 60, 1.0, "60 requests per minute") for _ in range(2))
    assert one == other and hash(one) == hash(other) and one.model is None


def test_an_ask_keeps_on_asking_unless_it_says_that_it_leaves() -> None:
    limit = Limit("acme", "tenant/usd", LimitKind.USD, 10**9, 0.0, "1 dollars per day (UTC)")
    ask = Ask(limit, 1, 0, 0, 0, "", 5, 5, 0, 30)
    assert not ask.is_leaving
    assert Granted(5, 0, 1.5, 1, "b").level == 1.5
