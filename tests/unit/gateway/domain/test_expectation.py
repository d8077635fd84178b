from gateway.domain.expectation import Expectation


def test_prospects_are_kept_in_the_order_in_which_a_log_line_lists_them():
    e = Expectation("strong", 0.9, 0.99, 0.01, 0.002, 211)
    fields = ("model", "quality", "success", "late", "usd", "completion_tokens")
    assert [getattr(e, f) for f in fields] == ["strong", 0.9, 0.99, 0.01, 0.002, 211]
