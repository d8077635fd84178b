"""Saving and loading artifacts: arrays without pickle, a JSON card, and every check that can be made before the first prompt.

A folder holds `arrays.npz` and `card.json`. Loading executes nothing and needs no network. It refuses, with an ArtifactError that says
what to do, whatever it cannot prove to be what was saved: wrong hash, missing or extra arrays, a newer schema, other features than
ours, golden prompts that do not reproduce.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from router_models.card import SAMPLE_ROWS_MAX, SCHEMA_VERSION, Card, content_hash, read_card
from router_models.embedding import Embedders
from router_models.port import ArtifactError, Router
from router_models.routers.base import FamilyRouter
from router_models.routers.registry import ROUTERS

__all__ = ["Artifact", "ArtifactError", "Card", "FamilyRouter", "Router", "builtin", "load", "save"]

ARRAYS_FILE = "arrays.npz"
CARD_FILE = "card.json"
SAMPLE_ARRAY = "sample"
STEMS_ARRAY = "stems"
GOLDEN_TOLERANCE = 1e-6
"""Largest difference of a golden prompt's quality; far above rounding, far below anything that moves a decision."""
UNPACKED_BYTES_MAX = 256 * 2**20
"""Arrays that claim to unpack to more are refused before they are unpacked."""
CARD_BYTES_MAX = 4 * 2**20


class Folder(Protocol):
    """What loading needs of a folder; both `Path` and `Traversable` have it."""

    def joinpath(self, name: str, /) -> Path | Traversable:
        """Return the entry of that name."""
        ...


@dataclass(frozen=True)
class Artifact:
    """A router that is ready to serve, and its card."""

    router: FamilyRouter
    card: Card


def builtin() -> Artifact:
    """Load the artifact that ships inside the package."""
    return load(files("router_models") / "builtin")


def load(folder: Path | Traversable, expect_id: str | None = None, embedders: Embedders | None = None) -> Artifact:
    """Load and verify an artifact.

    Args:
        folder: holds arrays.npz and card.json.
        expect_id: the artifact id, or a prefix of at least 12 hex digits, that the caller insists on.
        embedders: sentence embeddings by name, for artifacts of kind `dense`.
    Raises: ArtifactError when anything at all does not fit.
    """
    where = str(folder)
    content = _read_content(folder, where)
    raw = _read(folder, ARRAYS_FILE, where)
    if content_hash(content) != content.get("artifact_id"):
        raise ArtifactError(f"{where}/{CARD_FILE} was changed after it was written (its hash differs); restore it or train again")
    if expect_id is not None and not (len(expect_id) >= 12 and str(content["artifact_id"]).startswith(expect_id)):
        raise ArtifactError(
            f"{where} holds artifact {str(content['artifact_id'])[:12]}, not {expect_id!r}; give the right folder or its id"
        )
    if hashlib.sha256(raw).hexdigest() != content.get("arrays_sha256"):
        raise ArtifactError(f"{where}/{ARRAYS_FILE} is not the file that the card describes (hash differs); restore it or train again")
    arrays = _read_arrays(raw, where)
    sample, stems = arrays.pop(SAMPLE_ARRAY, None), arrays.pop(STEMS_ARRAY, None)
    try:
        if sample is None or stems is None:
            raise KeyError(SAMPLE_ARRAY if sample is None else STEMS_ARRAY)
        card = read_card(content, sample, stems)
        _check_sample(card)
        router = ROUTERS[card.kind].restore(card.models, card.options, arrays, embedders or {})
        if router.feature_hash() != card.feature_hash:
            raise ArtifactError(f"{where} was trained with other features than this version computes; train again with this version")
        _check_golden(router, card, where)
    except ArtifactError:
        raise
    except KeyError as exc:
        raise ArtifactError(f"{where} lacks {exc}; it was not written by this library or by another version: train again") from exc
    except (TypeError, ValueError) as exc:
        raise ArtifactError(f"{where} is inconsistent: {exc}; train again") from exc
    return Artifact(router, card)


def save(folder: Path, card: Card, arrays: Mapping[str, NDArray[Any]]) -> Card:
    """Write arrays.npz and card.json, and return the card with its hashes filled in."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **{**arrays, SAMPLE_ARRAY: card.sample, STEMS_ARRAY: card.stems})
    raw = buffer.getvalue()
    content = card.to_json()
    content["arrays_sha256"] = hashlib.sha256(raw).hexdigest()
    content["artifact_id"] = content_hash(content)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ARRAYS_FILE).write_bytes(raw)
    (folder / CARD_FILE).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="ascii")
    return read_card(content, card.sample, card.stems)


def _read(folder: Path | Traversable, name: str, where: str) -> bytes:
    try:
        return folder.joinpath(name).read_bytes()
    except OSError as exc:
        raise ArtifactError(f"cannot read {name} in {where} ({exc.__class__.__name__}); give the folder that `train --out` wrote") from exc


def _read_content(folder: Path | Traversable, where: str) -> dict[str, Any]:
    raw = _read(folder, CARD_FILE, where)
    if len(raw) > CARD_BYTES_MAX:
        raise ArtifactError(f"{where}/{CARD_FILE} is larger than {CARD_BYTES_MAX} bytes; it was not written by this library")
    try:
        content = json.loads(raw, parse_constant=_no_constant, parse_float=_finite)
    except (ValueError, RecursionError) as exc:
        raise ArtifactError(f"{where}/{CARD_FILE} is not JSON ({exc}); restore it or train again") from exc
    if not isinstance(content, dict):
        raise ArtifactError(f"{where}/{CARD_FILE} does not hold an object; restore it or train again")
    version = content.get("schema_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise ArtifactError(f"{where}/{CARD_FILE} names no schema version; it was not written by this library")
    if version > SCHEMA_VERSION:
        raise ArtifactError(f"{where} has schema version {version}, this library reads {SCHEMA_VERSION}; upgrade the library")
    return content


def _finite(text: str) -> float:
    """Read a number; Python reads 1e400 as infinity, which JSON has no word for."""
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:20]} is beyond every number")
    return number


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _read_arrays(raw: bytes, where: str) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > UNPACKED_BYTES_MAX:
            raise ArtifactError(f"{where}/{ARRAYS_FILE} would unpack to {unpacked} bytes; it was not written by this library")
        with np.load(io.BytesIO(raw), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except ArtifactError:
        raise
    except (ValueError, OSError, EOFError, KeyError, zipfile.BadZipFile, NotImplementedError) as exc:
        raise ArtifactError(f"{where}/{ARRAYS_FILE} is damaged ({exc}); restore it or train again") from exc
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu" or not np.all(np.isfinite(array)):
            raise ArtifactError(f"{where}/{ARRAYS_FILE}: array {name!r} holds something else than finite numbers; train again")
    return arrays


def _check_sample(card: Card) -> None:
    sample = card.sample
    if sample.dtype != np.float64 or sample.ndim != 2 or sample.shape[1] != len(card.models) or len(sample) > SAMPLE_ROWS_MAX:
        raise ValueError(f"sample has dtype {sample.dtype} and shape {sample.shape}")
    if card.stems.dtype != np.uint64 or card.stems.ndim != 1:
        raise ValueError(f"stems have dtype {card.stems.dtype} and shape {card.stems.shape}")
    if len(sample) and (sample.min() < 0.0 or sample.max() > 1.0):
        raise ValueError("sample holds qualities outside 0..1")
    if len(set(card.models)) != len(card.models) or not card.models:
        raise ValueError("model names repeat or are missing")
    if card.gain_knots and (len(card.models) != 2 or card.gain_knots[0][0] != 0.0 or card.gain_knots[-1][0] != 1.0):
        raise ValueError("gain knots must run from win rate 0 to 1, for two models")


def _check_golden(router: FamilyRouter, card: Card, where: str) -> None:
    if not card.golden:
        raise ArtifactError(f"{where} has no golden prompts to check itself with; train again")
    for golden in card.golden:
        signals = router.signals(golden.prompt)
        got, expected = (*signals, *router.combine(signals)), (*golden.signals, *golden.quality)
        if len(got) != len(expected) or any(not abs(a - b) <= GOLDEN_TOLERANCE for a, b in zip(got, expected)):
            raise ArtifactError(
                f"{where} does not reproduce its golden prompt {golden.prompt[:40]!r}: {got} instead of {expected}; train again"
            )
