import numpy as np
import pytest

from router_models.table import ScoreTable, joined


def test_rows_are_taken_in_the_order_asked_for():
    scores = np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    table = ScoreTable(("s", "w"), ["a", "b", "c"], ["x", "y", "z"], scores, np.array([1.0, 2.0, 3.0]), scores / 10)
    part = table.take(np.array([2, 0]))
    assert len(part) == 2 and list(part.prompts) == ["c", "a"] and list(part.groups) == ["z", "x"]
    assert part.scores.tolist() == [[1.0, 1.0], [1.0, 0.0]]
    assert part.weights is not None and part.weights.tolist() == [3.0, 1.0]
    assert part.costs is not None and part.costs.tolist() == [[0.1, 0.1], [0.1, 0.0]]


def test_shapes_that_do_not_fit_are_refused():
    for extra in ({}, {"weights": np.ones(3)}, {"costs": np.ones((1, 3))}):
        scores = np.zeros((1, 2)) if extra else np.zeros((1, 3))
        with pytest.raises(ValueError, match="shape"):
            ScoreTable(("s", "w"), ["a"], [""], scores, **extra)


def test_tables_of_the_same_models_join_and_missing_weights_count_once():
    one = ScoreTable(("s", "w"), ["a"], [""], np.array([[1.0, 0.0]]))
    two = ScoreTable(("s", "w"), ["b"], [""], np.array([[0.0, 0.0]]), np.array([5.0]))
    both = joined([one, two])
    assert list(both.prompts) == ["a", "b"] and both.weights is not None and both.weights.tolist() == [1.0, 5.0]
    with pytest.raises(ValueError, match="different models"):
        joined([one, ScoreTable(("x", "w"), ["b"], [""], np.array([[0.0, 0.0]]))])
