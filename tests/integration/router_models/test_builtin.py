"""The shipped artifact on public data that it has not seen, and its making; SLUICE_DATA names the folder of the data."""

import os
from pathlib import Path

import numpy as np
import pytest

from router_models.__main__ import main
from router_models.artifact import builtin, load
from router_models.card import win_rates
from router_models.data import model_names, read_requests, read_scores
from router_models.evaluate import compare
from router_models.experiments import MMLU, MMLU_PAIR, UNLIKE
from router_models.metrics import calibration_error
from router_models.split import HELD_OUT_FOLD, fold
from router_models.table import ScoreTable

DATA = Path(os.environ.get("SLUICE_DATA", "nowhere")) / "routing"
RECIPE = Path(__file__).parents[3] / "config" / "routers" / "default.yaml"
pytestmark = pytest.mark.skipif(not (DATA / f"{MMLU}.parquet").is_file(), reason="SLUICE_DATA names no folder with the routing data")


@pytest.fixture(scope="module")
def unseen() -> ScoreTable:
    table = read_scores(DATA / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    return table.take(np.array([i for i, prompt in enumerate(table.prompts) if fold(prompt) == HELD_OUT_FOLD], dtype=np.int64))


def test_on_the_fifth_that_it_has_not_seen_it_beats_length_and_is_calibrated(unseen: ScoreTable):
    artifact = builtin()
    quality = artifact.router.quality(unseen.prompts)
    own = compare({"builtin": quality[:, 0] - quality[:, 1]}, unseen)[0]
    assert own.apgr > 0.62 and own.over_length[1] > 0.0, "one fold: APGR is known to 0.05 either way"
    wins = (unseen.scores[:, 0] > unseen.scores[:, 1]).astype(np.float64)
    assert calibration_error(win_rates(artifact.card, quality), wins)[1] < 0.03


def test_other_traffic_is_called_out_of_domain_and_unseen_questions_of_its_own_kind_are_not(unseen: ScoreTable):
    router = builtin().router
    assert np.mean([router.is_out_of_domain(prompt) for prompt in unseen.prompts]) <= 0.05
    for name in UNLIKE:
        prompts, _ = read_requests(DATA / f"{name}.parquet")
        assert np.mean([router.is_out_of_domain(prompt) for prompt in prompts]) >= 0.8, name


def test_pinned_data_is_the_data_here_and_questions_trained_on_are_refused(capsys: pytest.CaptureFixture[str]):
    named = {source.file: source for source in builtin().card.data}
    assert set(named) == {f"{MMLU}.parquet"} and named[f"{MMLU}.parquet"].licence == "Apache-2.0"
    assert read_scores(DATA / f"{MMLU}.parquet", MMLU_PAIR).sha256 == named[f"{MMLU}.parquet"].sha256
    assert len(model_names(DATA / f"{MMLU}.parquet")) == 2
    assert main(["evaluate", "--data", str(DATA / f"{MMLU}.parquet")]) == 2
    assert "rows ask questions that the artifact was trained on" in capsys.readouterr().err


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_it_is_rebuilt_from_the_named_data(tmp_path: Path):
    pair = ["--strong", MMLU_PAIR[0], "--weak", MMLU_PAIR[1]]
    data = str(DATA / f"{MMLU}.parquet")
    assert main(["train", "--config", str(RECIPE), "--data", data, *pair, "--out", str(tmp_path / "again")]) == 0
    shipped, again = builtin(), load(tmp_path / "again")
    # Equal to the last bit on the machine that made it; other processors multiply and add in other widths.
    for name, array in shipped.router.arrays().items():
        assert np.abs(array - again.router.arrays()[name]).max() <= 1e-9, name
    assert np.array_equal(shipped.card.stems, again.card.stems) and shipped.card.data == again.card.data
    for one, other in zip(shipped.card.golden, again.card.golden, strict=True):
        assert one.prompt == other.prompt and one.quality == pytest.approx(other.quality, abs=1e-6)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_no_goal_of_the_default_is_missed(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    parts = ["in-domain", "labels", "switch", "serving"]
    assert main(["report", "--config", str(RECIPE), "--data", str(DATA), "--out", str(tmp_path), "--quick", "--only", *parts]) == 0
    goals = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ") and line.count("|") == 7]
    assert len(goals) > 20 and not [line for line in goals if "MISSED" in line]
