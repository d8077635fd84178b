import numpy as np
import pytest

from router_models.table import ScoreTable


def test_rows_are_taken_in_the_order_asked_for():
    table = ScoreTable(("s", "w"), ["a", "b", "c"], ["x", "y", "z"], np.array([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    part = table.take(np.array([2, 0]))
    assert len(part) == 2 and list(part.prompts) == ["c", "a"] and list(part.groups) == ["z", "x"]
    assert part.scores.tolist() == [[1.0, 1.0], [1.0, 0.0]]


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match="shape"):
        ScoreTable(("s", "w"), ["a"], [""], np.zeros((1, 3)))
