import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from router_models.artifact import ArtifactError, builtin, load, save
from router_models.card import content_hash
from router_models.recipe import Recipe
from router_models.table import ScoreTable
from router_models.train import train


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, table: ScoreTable) -> Path:
    folder = tmp_path_factory.mktemp("artifact")
    trained = train(Recipe("logistic", {"buckets_log2": 8, "orders": [4]}), table, [], lambda _: None)
    save(folder, trained.card, trained.router.arrays())
    return folder


def copy(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "copy"))


def edit_card(folder: Path, change: Callable[[dict[str, Any]], None], rehash: bool = True) -> None:
    content = json.loads((folder / "card.json").read_text())
    change(content)
    if rehash:
        content["artifact_id"] = content_hash(content)
    (folder / "card.json").write_text(json.dumps(content))


def edit_arrays(folder: Path, **changes: Any) -> None:
    """Replace arrays and make both hashes right again, as a careful forger would."""
    import hashlib

    with np.load(folder / "arrays.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    arrays.update(changes)
    np.savez_compressed(folder / "arrays.npz", allow_pickle=True, **{k: v for k, v in arrays.items() if v is not None})
    digest = hashlib.sha256((folder / "arrays.npz").read_bytes()).hexdigest()
    edit_card(folder, lambda c: c.update(arrays_sha256=digest))


def test_a_saved_router_answers_as_before(saved: Path, table: ScoreTable):
    trained = train(Recipe("logistic", {"buckets_log2": 8, "orders": [4]}), table, [], lambda _: None)
    assert np.array_equal(load(saved).router.quality(table.prompts), trained.router.quality(table.prompts))


def test_saving_twice_gives_the_same_bytes(saved: Path, table: ScoreTable, tmp_path: Path):
    trained = train(Recipe("logistic", {"buckets_log2": 8, "orders": [4]}), table, [], lambda _: None)
    save(tmp_path, trained.card, trained.router.arrays())
    for name in ("arrays.npz", "card.json"):
        assert (tmp_path / name).read_bytes() == (saved / name).read_bytes()


def test_the_builtin_artifact_loads_and_is_small():
    artifact = builtin()
    assert artifact.router.models == artifact.card.models and len(artifact.card.models) == 2
    assert 0 < len(artifact.card.sample) <= 2000
    assert {d.licence for d in artifact.card.data} <= {"MIT", "Apache-2.0"}
    folder = Path(sys.modules["router_models.artifact"].__file__ or "").parent / "builtin"
    assert sum(f.stat().st_size for f in folder.iterdir()) < 3_000_000


def test_gain_of_the_builtin_qualities_gives_a_win_rate_in_the_same_order():
    artifact = builtin()
    prompts = ["Hi", "What is 2+2?", "Derive the Euler-Lagrange equation for a relativistic string.", "Write a haiku about rain."]
    quality = artifact.router.quality(prompts)
    gains = quality[:, 0] - quality[:, 1]
    wins = [artifact.card.win_rate(float(g)) for g in gains]
    assert np.array_equal(np.argsort(gains), np.argsort(wins))


@pytest.mark.parametrize("prefix", ["", "0" * 12, "0" * 64])
def test_another_id_than_expected_is_refused(saved: Path, prefix: str):
    with pytest.raises(ArtifactError, match="give the right folder or its id"):
        load(saved, expect_id=prefix)
    assert load(saved, expect_id=load(saved).card.short_id)


CARD_FORGERIES: dict[str, tuple[Callable[[dict[str, Any]], Any], bool, str]] = {
    "edited without a new hash": (lambda c: c.update(label="other"), False, "changed after it was written"),
    "newer schema": (lambda c: c.update(schema_version=99), True, "upgrade"),
    "schema as text": (lambda c: c.update(schema_version="1"), True, "no schema version"),
    "schema true": (lambda c: c.update(schema_version=True), True, "no schema version"),
    "schema missing": (lambda c: c.pop("schema_version"), True, "no schema version"),
    "unknown kind": (lambda c: c.update(kind="magic"), True, "lacks"),
    "kind of another form": (lambda c: c.update(kind=3), True, "inconsistent"),
    "other features": (lambda c: c.update(feature_hash="0" * 64), True, "other features"),
    "models missing": (lambda c: c.pop("models"), True, "lacks"),
    "models repeated": (lambda c: c.update(models=["a", "a"]), True, "inconsistent"),
    "three models": (lambda c: c.update(models=["a", "b", "c"]), True, "inconsistent"),
    "golden answer moved": (lambda c: c["golden"][1]["quality"].__setitem__(0, 0.123), True, "golden"),
    "golden answer too long": (lambda c: c["golden"][1]["quality"].append(0.5), True, "golden"),
    "golden prompts gone": (lambda c: c.update(golden=[]), True, "golden"),
    "golden of another form": (lambda c: c.update(golden=[3]), True, "inconsistent"),
    "gain knots fall": (lambda c: c.update(gain_knots=[[0, 0.5], [1, 0.1]]), True, "inconsistent"),
    "gain knots stop early": (lambda c: c.update(gain_knots=[[0, 0.0], [0.9, 0.1]]), True, "inconsistent"),
    "buckets too many": (lambda c: c["options"]["features"].update(buckets_log2=60), True, "inconsistent"),
    "buckets other": (lambda c: c["options"]["features"].update(buckets_log2=9), True, "inconsistent"),
    "orders empty": (lambda c: c["options"]["features"].update(orders=[]), True, "inconsistent"),
    "calibration gone": (lambda c: c["options"].pop("calibration"), True, "lacks"),
    "calibration falls": (lambda c: c["options"]["calibration"]["win_rate"].reverse(), True, "inconsistent"),
    "options of another form": (lambda c: c.update(options=None), True, "inconsistent"),
    "arrays hash other": (lambda c: c.update(arrays_sha256="0" * 64), True, "not the file"),
}


@pytest.mark.parametrize("case", CARD_FORGERIES)
def test_a_forged_card_is_refused_with_advice(saved: Path, tmp_path: Path, case: str):
    change, rehash, says = CARD_FORGERIES[case]
    folder = copy(saved, tmp_path)
    edit_card(folder, change, rehash)
    with pytest.raises(ArtifactError, match=says):
        load(folder)


class Executes:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (print, ("this must never run",))


ARRAY_FORGERIES: dict[str, dict[str, Any]] = {
    "a pickled object": {"table": np.array([Executes()], dtype=object)},
    "an extra pickled object": {"more": np.array([Executes()], dtype=object)},
    "an extra array": {"more": np.zeros(3)},
    "an array missing": {"table": None},
    "the sample missing": {"sample": None},
    "NaN in the weights": {"intercept": np.array([np.nan, 0.0])},
    "infinite weights": {"intercept": np.array([np.inf, 0.0])},
    "another shape": {"table": np.zeros((2, 7), dtype=np.float32)},
    "text for numbers": {"intercept": np.array(["a", "b"])},
    "sample out of range": {"sample": np.full((5, 2), 1.5)},
    "sample of another width": {"sample": np.zeros((5, 3))},
    "novelty of another shape": {"novelty_whiten": np.zeros((3, 3))},
    "novelty limit of zero": {"novelty_limit": np.array([0.0])},
    "question keys missing": {"stems": None},
    "question keys as floats": {"stems": np.zeros(3)},
    "sample too long": {"sample": np.zeros((2001, 2))},
    "other weights": {"intercept": np.array([5.0, -5.0])},
}


@pytest.mark.parametrize("case", ARRAY_FORGERIES)
def test_forged_arrays_are_refused_and_nothing_runs(saved: Path, tmp_path: Path, case: str, capsys: pytest.CaptureFixture[str]):
    folder = copy(saved, tmp_path)
    edit_arrays(folder, **ARRAY_FORGERIES[case])
    with pytest.raises(ArtifactError):
        load(folder)
    assert "must never run" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["arrays.npz", "card.json"])
@pytest.mark.parametrize("damage", ["missing", "empty", "truncated", "one byte", "a folder"])
def test_a_damaged_file_is_refused(saved: Path, tmp_path: Path, name: str, damage: str):
    folder = copy(saved, tmp_path)
    path = folder / name
    raw = path.read_bytes()
    path.unlink()
    if damage == "a folder":
        path.mkdir()
    elif damage != "missing":
        middle = len(raw) // 2
        path.write_bytes(
            {"empty": b"", "truncated": raw[:middle], "one byte": raw[:middle] + bytes([raw[middle] ^ 1]) + raw[middle + 1 :]}[damage]
        )
    with pytest.raises(ArtifactError):
        load(folder)


@pytest.mark.parametrize(
    "text", ["[]", "3", "{}", "NaN", '{"schema_version": NaN}', '{"schema_version": 1e999}', "[" * 100_000, "\x00", '{"schema_version": 1}']
)
def test_a_card_of_another_form_is_refused(saved: Path, tmp_path: Path, text: str):
    folder = copy(saved, tmp_path)
    (folder / "card.json").write_text(text)
    with pytest.raises(ArtifactError):
        load(folder)


def test_a_file_that_claims_to_unpack_to_gigabytes_is_refused_before_it_is_unpacked(
    saved: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("router_models.artifact.UNPACKED_BYTES_MAX", 1000)
    with pytest.raises(ArtifactError, match="unpack"):
        load(saved)


def test_importing_the_serving_side_brings_no_training_library():
    code = (
        "import sys, router_models.artifact as a; a.builtin().router.quality(['hi']);"
        "print([m for m in ('sklearn', 'scipy', 'pandas', 'pyarrow', 'yaml', 'pickle5') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_source_file_of_the_library_unpickles():
    package = Path(sys.modules["router_models"].__path__[0])
    for path in package.rglob("*.py"):
        text = path.read_text()
        for word in ("import pickle", "joblib", "allow_pickle=True", "eval(", "exec(", "marshal", "cloudpickle", "skops"):
            assert word not in text, f"{path}: {word}"
