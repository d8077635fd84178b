"""What was decided about one request."""

from gateway.domain.catalog import Backend, Model, Tariff
from gateway.domain.decision import Choice, Placed, Shed
from gateway.domain.errors import Reason


def test_equal_decisions_are_equal_so_that_they_can_be_compared_with_a_log() -> None:
    first, second = (Choice("strong", "score", (0.5, 0.4), 0.1, 0.7, 0.3) for _ in range(2))
    assert first == second
    assert first != Choice("strong", "score", (0.5, 0.4), 0.1000001, 0.7, 0.3)


def test_a_placed_request_knows_model_backend_and_prices() -> None:
    backend = Backend("m@a", "http://a/v1", "m")
    model = Model("m", Tariff(1, 1), 1000, (backend,))
    placed = Placed(Choice("m", "only", (0.5,), 0.0, None, None), model, backend, 12)
    assert placed.model is model and placed.backend in placed.model.backends and placed.prices_version == 12


def test_a_shed_says_why_and_when_to_come_back() -> None:
    shed = Shed(Reason.SHED_OVERLOAD, "full", 2.5)
    assert shed.reason.ending.status == 503 and shed.retry_after_s == 2.5 and shed.param is None
