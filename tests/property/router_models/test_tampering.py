"""Whatever bytes of an artifact are changed, loading refuses it with an ArtifactError; nothing else escapes."""

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from router_models.artifact import ArtifactError, load, save
from router_models.recipe import Recipe
from router_models.table import ScoreTable
from router_models.train import train


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import numpy as np

    rng = np.random.default_rng(1)
    prompts = [f"prompt {i} {'word ' * int(rng.integers(1, 9))}" for i in range(120)]
    data = ScoreTable(("s", "w"), prompts, [""] * 120, (rng.uniform(size=(120, 2)) < (0.8, 0.5)).astype(float))
    trained = train(Recipe("logistic", {"buckets_log2": 6, "orders": [4]}), data, [], lambda _: None)
    folder = tmp_path_factory.mktemp("artifact")
    save(folder, trained.card, trained.router.arrays())
    return folder


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_any_change_of_any_byte_is_refused(saved: Path, data: st.DataObject):
    name = data.draw(st.sampled_from(["arrays.npz", "card.json"]))
    raw = (saved / name).read_bytes()
    at = data.draw(st.integers(0, len(raw) - 1))
    how = data.draw(st.sampled_from(["flip", "cut", "insert", "replace"]))
    middle = data.draw(st.binary(min_size=1, max_size=20))
    if how == "flip":
        changed = raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]
    elif how == "cut":
        changed = raw[:at]
    elif how == "insert":
        changed = raw[:at] + middle + raw[at:]
    else:
        changed = middle
    if name == "card.json" and changed.split() == raw.split():
        return  # only white space between JSON tokens differs: the same card
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(saved, Path(place) / "copy"))
        (folder / name).write_bytes(changed)
        try:
            loaded = load(folder)
        except ArtifactError as refused:
            assert str(folder) in str(refused) and len(str(refused)) > 40
        else:
            # Possible for the card alone, where white space or the spelling of a number changed: the content must then be the same.
            assert name == "card.json" and loaded.card.to_json() == load(saved).card.to_json()
