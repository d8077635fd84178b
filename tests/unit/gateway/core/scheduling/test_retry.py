from gateway.core.scheduling.retry import STOCK_MAX, RetryBudget


def test_a_quiet_gateway_may_retry_once():
    budget = RetryBudget()
    assert budget.take()
    assert not budget.take()


def test_retries_stay_at_a_tenth_of_the_attempts():
    budget = RetryBudget()
    retried = 0
    for _ in range(1000):
        budget.attempted(0.1)
        retried += budget.take()
    assert 99 <= retried <= 101


def test_a_long_calm_does_not_save_up_a_storm():
    budget = RetryBudget()
    for _ in range(10_000):
        budget.attempted(0.1)
    assert sum(budget.take() for _ in range(100)) == STOCK_MAX


def test_a_share_of_nothing_forbids_retries_after_the_first():
    budget = RetryBudget()
    budget.take()
    for _ in range(100):
        budget.attempted(0.0)
    assert not budget.take()
