import itertools

import numpy as np
import pytest

from router_models.card import content_hash, read_card
from router_models.port import ArtifactError
from router_models.recipe import Recipe
from router_models.table import ScoreTable
from router_models.train import train


def test_a_card_survives_the_round_trip_through_json(table: ScoreTable):
    card = train(Recipe("length"), table, [], lambda _: None).card
    content = card.to_json()
    again = read_card(content, card.sample, card.stems)
    assert again.to_json() == content and again.artifact_id == content_hash(content)


def test_gain_and_win_rate_undo_each_other_and_rise_strictly(table: ScoreTable):
    card = train(Recipe("length"), table, [], lambda _: None).card
    p = np.linspace(0.0, 1.0, 101).tolist()
    gains = [card.gain(x) for x in p]
    assert all(b > a for a, b in itertools.pairwise(gains))
    assert [card.win_rate(g) for g in gains] == pytest.approx(p, abs=1e-9)
    assert card.win_rate(-2.0) == 0.0 and card.win_rate(2.0) == 1.0


def test_the_id_depends_on_every_field(table: ScoreTable):
    content = train(Recipe("length"), table, [], lambda _: None).card.to_json()
    assert content_hash({**content, "label": "other"}) != content["artifact_id"]
    assert content_hash({**content, "artifact_id": "anything"}) == content["artifact_id"]


def test_without_a_pair_there_is_no_win_rate():
    from router_models.routers.constant import ConstantRouter

    assert ConstantRouter(("a", "b", "c"), (0.5, 0.4, 0.3)).gain_knots() == ()
    three = ScoreTable(("a", "b", "c"), ["x", "why", "z 1"] * 4, [""] * 12, np.full((12, 3), 0.5))
    card = train(Recipe("constant"), three, [], lambda _: None).card
    with pytest.raises(ArtifactError, match="two models"):
        card.win_rate(0.1)
    with pytest.raises(ArtifactError, match="two models"):
        card.gain(0.1)
