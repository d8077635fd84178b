"""`logistic`: one logistic regression per language model over hashed byte n-grams and surface counts; the default.

For each model m, z_m = table_m[buckets].sum() / sqrt(window bytes + 1) + weights_m . surface + intercept_m, and sigmoid(z_m) estimates
P(answer is good). Trained on conversations, z_m has one more term, weights_m . facts (`conversation`); trained on lone questions it has
none, and what surrounds a question is ignored. The routing score of two models is sigmoid(z_strong) - sigmoid(z_weak); knots turn it into
win rate, gain and both qualities, as `calibration` says. A prompt whose surface counts are unlike all training prompts (`novelty`), or
whose score lies beyond nearly all scores of held-out training prompts, is answered by prompt length instead, on the same win rate scale.

With a background (prompts that other models answered), a logistic regression of those models' mean score on n-grams comes first; its answer
is one more number that each head may weigh. It is linear in the same n-grams, so it folds into the table and costs nothing at serving.
Background prompts that share a question stem with any row of the table take no part.
"""

from __future__ import annotations

import hashlib
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Calibration, PairCalibration, PairQualities, calibrate, fit_pair
from router_models.conversation import ALONE, FACTS, Chat, Conversation, facts
from router_models.embedding import Embedders
from router_models.features import SURFACE, FeatureSpec, Featurizer
from router_models.novelty import Novelty, fit_novelty
from router_models.routers.base import Arrays, CalibratedRouter, Floats, Rows, check_options, stored_calibration
from router_models.split import stem
from router_models.table import ScoreTable
from router_models.threads import one_thread

LENGTH_RANGE = (0.0, 30.0)
"""log(1 + characters) of the empty prompt and of one no machine could hold."""
FALLBACK_ROWS_MIN = 200
"""Out-of-domain rows from which the fallback is fitted on them alone; with fewer, on all rows."""
SCORE_TAIL = 0.0005
"""Share of held-out training scores beyond each end of the range; a score outside is out of domain."""
SCORE_ROWS_MIN = 2000
"""Held-out rows from which such a tail can be read off; with fewer, every score is inside."""
EVERY_SCORE = (-1.0, 1.0)
ADAPT_PARTS = 5
ADAPT_STRENGTH = 0.1
"""scikit-learn's C for the mixture of old heads; inputs are standardised, and a few hundred labels carry few parameters."""
TOGETHER_MIN = 4
"""Prompts from which answering them together costs less."""
TOGETHER_BYTES = 16 * 1024
"""Bytes of prompts that are answered together: their arrays, 50 times as large, stay in a core's cache."""
BACKGROUND_STRENGTH = 0.5
"""scikit-learn's C for the regression on the background; 0.1 and 2 differ by less than 0.002 APGR on MMLU."""
WEIGHTS = ("table", "surface", "intercept")
_PACK = struct.Struct(f"{len(SURFACE) + 1}d").pack
AROUND = "conversation"
"""Array of weights of conversation facts; stored only where training had conversations."""


class LogisticRouter(CalibratedRouter):
    """Linear heads on hashed n-grams with a logistic link, exported from scikit-learn."""

    kind: ClassVar[str] = "logistic"
    weakness: ClassVar[str] = "recognises topics and phrasing it has seen; on unseen subjects it is hardly better than prompt length"

    def __init__(
        self,
        models: tuple[str, ...],
        spec: FeatureSpec,
        weights: Arrays,
        novelty: Novelty,
        calibration: Calibration,
        fallback: PairCalibration | None,
        level: tuple[float, ...],
        score_range: tuple[float, float] = EVERY_SCORE,
    ) -> None:
        """Take the weights.

        Args:
            weights: table (m, buckets), weight of one occurrence of a bucket; surface (m, len(SURFACE)); intercept (m,); and, where it was
                trained on conversations, conversation (m, len(FACTS)).
            novelty: decides which prompts are out of domain.
            fallback: knots over log(1 + characters) for those; None with other than two models.
            level: mean score of each model, what is left to say of an out-of-domain prompt.
            score_range: raw quality of the first model minus that of the last; a prompt outside is out of domain.
        Raises: ValueError when shapes do not fit.
        """
        super().__init__(models, calibration)
        m = len(models)
        table, surface, intercept = (weights[name] for name in WEIGHTS)
        if table.shape != (m, spec.buckets) or surface.shape != (m, len(SURFACE)) or intercept.shape != (m,):
            raise ValueError(f"weights have shapes {table.shape}, {surface.shape}, {intercept.shape} for {m} models")
        around = weights.get(AROUND)
        if around is not None and around.shape != (m, len(FACTS)):
            raise ValueError(f"weights of conversation facts have shape {around.shape} for {m} models")
        if len(level) != m or (fallback is None) != (m != 2) or len(novelty.mean) != len(SURFACE):
            raise ValueError("fallback does not fit the models")
        if not score_range[0] < score_range[1]:
            raise ValueError(f"score range {score_range} is empty")
        self._low, self._high = score_range
        self._stored = {name: weights[name] for name in (*WEIGHTS, AROUND) if name in weights}
        self._around = around.astype(np.float64) if around is not None else None
        self._features = Featurizer(spec)
        self._table = np.ascontiguousarray(table, dtype=np.float64)
        # Two models' weights of a bucket side by side, as one complex number: one look-up and one sum for both (3 us instead of 4.3, and
        # half the cache lines).
        self._pairs = np.ascontiguousarray(self._table.T).view(np.complex128).ravel() if m == 2 else None
        # Heads and novelty read the same surface counts: one matrix product for both; the last column are constants.
        constant = np.concatenate([intercept, -(novelty.whiten @ novelty.mean)])
        self._dense = np.column_stack([np.vstack([surface, novelty.whiten]), constant]).astype(np.float64)
        self._limit_squared = novelty.limit * novelty.limit
        self._novelty, self._fallback, self._level = novelty, fallback, level
        self._by_length = PairQualities(fallback) if fallback is not None else None
        self._mean_level = sum(level) / m

    @property
    def reads_conversation(self) -> bool:
        """Whether it was trained on conversations."""
        return self._around is not None

    def logits(self, prompt: str, conversation: Conversation | None = None) -> list[float]:
        """Return z_m of each model, before the link."""
        return self._answer(prompt, conversation)[0]

    def quality_one(self, prompt: str, conversation: Conversation | None = None) -> tuple[float, ...]:
        """Return the quality of each model for one prompt and what surrounds it: `combine` of `signals`, without the way over numbers."""
        raw, is_novel = self._raw(prompt, conversation)
        return self._beyond(math.log1p(len(prompt))) if is_novel else super().combine(raw)

    def quality_many(self, prompts: Sequence[str], conversations: Sequence[Conversation | None]) -> list[tuple[float, ...]]:
        """Return what `quality_one` says of each prompt but for rounding.

        Most of one prompt's cost are numpy's calls, not its bytes: 16 prompts of 700 characters that are answered together cost 13 us each
        instead of 19, and between other work, whose code has left no room in the caches, 24 instead of 46.
        """
        if len(prompts) < TOGETHER_MIN or self._pairs is None:
            return super().quality_many(prompts, conversations)
        windows = [self._features.window(prompt) for prompt in prompts]
        answers: list[tuple[float, ...]] = []
        while len(answers) < len(prompts):
            at = len(answers)
            end, size = at + 1, len(windows[at])
            while end < len(prompts) and size + len(windows[end]) <= TOGETHER_BYTES:
                size += len(windows[end])
                end += 1
            answers += self._answer_many(prompts[at:end], windows[at:end], conversations[at:end])
        return answers

    def _answer_many(
        self, prompts: Sequence[str], windows: Sequence[bytes], conversations: Sequence[Conversation | None]
    ) -> list[tuple[float, ...]]:
        features, pairs = self._features, self._pairs
        assert pairs is not None
        surface = features.surface_of_many(prompts, windows)
        dense = surface @ self._dense[:, :-1].T + self._dense[:, -1]
        white = dense[:, 2:]
        novel = (white * white).sum(axis=1) > self._limit_squared
        buckets, cuts = features.buckets_of_many(windows)
        sums = np.add.reduceat(pairs.take(buckets), cuts, axis=1)[:, ::2].sum(axis=0)
        answers = []
        for prompt, window, c, (strong, weak), is_novel, both in zip(
            prompts, windows, conversations, dense[:, :2].tolist(), novel.tolist(), sums.tolist(), strict=True
        ):
            scale = 1.0 / math.sqrt(len(window) + 1)
            z = [both.real * scale + strong, both.imag * scale + weak]
            if self._around is not None and c is not None:
                z = [own + more for own, more in zip(z, self._around.dot(facts(c, prompt)).tolist())]
            raw = (self.link(z[0]), self.link(z[1]))
            if is_novel or not self._low <= raw[0] - raw[1] <= self._high:
                answers.append(self._beyond(math.log1p(len(prompt))))
            else:
                answers.append(super().combine(raw))
        return answers

    def _answer(self, prompt: str, conversation: Conversation | None) -> tuple[list[float], bool]:
        """Return the logits, and whether the surface counts are unlike the training prompts'."""
        features = self._features
        window = features.window(prompt)
        # Packed and read back: numpy takes twice as long to make an array of a tuple.
        dense = self._dense.dot(np.frombuffer(_PACK(*features.surface(prompt, window), 1.0)))
        m = len(self.models)
        scale = 1.0 / math.sqrt(len(window) + 1)
        values: list[float] = dense.tolist()
        white = dense[m:]
        is_novel = bool(white.dot(white) > self._limit_squared)
        buckets = features.buckets(window)
        if self._pairs is not None:
            both = complex(np.add.reduce(self._pairs.take(buckets), axis=None))
            z = [both.real * scale + values[0], both.imag * scale + values[1]]
        else:
            sums = self._table.take(buckets.ravel(), axis=1).sum(axis=1).tolist()
            z = [grams * scale + rest for grams, rest in zip(sums, values)]
        if self._around is not None and conversation is not None:
            z = [own + more for own, more in zip(z, self._around.dot(facts(conversation, prompt)).tolist())]
        return z, is_novel

    def signals(self, prompt: str, conversation: Conversation | None = None) -> tuple[float, ...]:
        """Return the raw quality of each model, log(1 + characters), and 1.0 when the prompt is out of domain."""
        raw, is_novel = self._raw(prompt, conversation)
        return (*raw, math.log1p(len(prompt)), float(is_novel))

    def _raw(self, prompt: str, conversation: Conversation | None) -> tuple[tuple[float, ...], bool]:
        """Return the raw quality of each model, and whether the prompt is out of domain."""
        z, is_novel = self._answer(prompt, conversation)
        raw = tuple(map(self.link, z))
        return raw, is_novel or not self._low <= raw[0] - raw[-1] <= self._high

    @staticmethod
    def link(z: float) -> float:
        """Return the raw quality of a logit."""
        return sigmoid(z)

    def combine(self, signals: tuple[float, ...]) -> tuple[float, ...]:
        """Return calibrated qualities, by length when the prompt is out of domain."""
        *raw, log_characters, novel = signals
        return self._beyond(log_characters) if novel else super().combine(tuple(raw))

    def _beyond(self, log_characters: float) -> tuple[float, ...]:
        """Return the qualities for a prompt that is out of domain."""
        return self._by_length(log_characters, self._mean_level) if self._by_length is not None else self._level

    def adapted(
        self, prompts: Sequence[str], scores: Floats, models: tuple[str, ...] | None = None, chats: Sequence[Chat] | None = None
    ) -> LogisticRouter:
        """Return a router for other traffic, learned from a few hundred labelled prompts of it and this one's weights.

        New knots are not enough: on other traffic the old score may rank prompts the wrong way round, which no increasing map can mend.
        So each head becomes a logistic regression on the old heads' logits and log(1 + characters), a mixture that folds back into table,
        surface weights and intercept; knots are fitted on cross-fitted answers, and what counts as out of domain is learned anew.

        Args:
            scores: shape (len(prompts), models), in [0, 1].
            models: names of the models that were scored, when they are others; as many as there were.
            chats: what surrounds the prompts; read only by a router that was trained on conversations.
        """
        features = self._features
        windows = [features.window(prompt) for prompt in prompts]
        surface = np.array([features.surface(prompt, window) for prompt, window in zip(prompts, windows)])
        column = SURFACE.index("log_characters")
        logits = [self.logits(prompt, chat) for prompt, chat in zip(prompts, chats or [ALONE] * len(prompts), strict=True)]
        inputs = np.column_stack([np.array(logits), surface[:, column]])
        rows, m = np.arange(len(prompts)), len(self.models)
        raw = np.empty((len(prompts), m))
        for part in range(ADAPT_PARTS):
            held = rows % ADAPT_PARTS == part
            mix, bias = _mixture(inputs[~held], scores[~held])
            raw[held] = np.vectorize(self.link, otypes=[np.float64])(inputs[held] @ mix.T + bias)
        mix, bias = _mixture(inputs, scores)
        added = np.zeros((m, len(SURFACE)))
        added[:, column] = mix[:, m]
        old = {name: array.astype(np.float64) for name, array in self._stored.items()}
        weights: dict[str, NDArray[Any]] = {
            "table": (mix[:, :m] @ old["table"]).astype(np.float32),
            "surface": mix[:, :m] @ old["surface"] + added,
            "intercept": mix[:, :m] @ old["intercept"] + bias,
            **({AROUND: mix[:, :m] @ old[AROUND]} if AROUND in old else {}),
        }
        knots = calibrate(scores, scores)
        fallback = knots if isinstance(knots, PairCalibration) else None
        level = tuple(scores.mean(axis=0).tolist())
        bare = type(self)(models or self.models, features.spec, weights, fit_novelty(surface), knots, fallback, level)
        return bare.with_knots(np.column_stack([raw, surface[:, column], np.zeros(len(rows))]), scores)

    def with_knots(self, signals: Floats, scores: Floats, weights: Floats | None = None) -> LogisticRouter:
        """Return the same weights with knots fitted on signals and what the models really scored."""
        m = len(self.models)
        weights = np.ones(len(signals)) if weights is None else weights
        # Flagged rows are answered by length, so they say nothing about the heads; keep them only when nothing else is left.
        known = signals[:, -1] == 0.0 if np.any(signals[:, -1] == 0.0) else np.ones(len(signals), dtype=bool)
        # The fallback answers flagged prompts only, so those are who it should fit, once there are enough of them.
        novel = ~known if (~known).sum() >= FALLBACK_ROWS_MIN else np.ones(len(signals), dtype=bool)
        fallback, level = None, tuple(np.average(scores[novel], axis=0, weights=weights[novel]).tolist())
        if m == 2:
            both = scores[novel]
            fallback = fit_pair(signals[novel, m], both.mean(axis=1), both[:, 0], both[:, 1], LENGTH_RANGE, weights[novel])
            fallback = replace(fallback, raw_level=(0.0, 1.0), level=(0.0, 1.0))
        calibration = calibrate(signals[known, :m], scores[known], weights[known])
        inside = EVERY_SCORE
        # Two models: with one there is no difference, with more the first and the last are any two of them.
        if m == 2 and known.sum() >= SCORE_ROWS_MIN:
            low, high = np.quantile(signals[known, 0] - signals[known, m - 1], [SCORE_TAIL, 1.0 - SCORE_TAIL])
            inside = (float(low), float(high))
        return type(self)(self.models, self._features.spec, self._stored, self._novelty, calibration, fallback, level, inside)

    def is_out_of_domain(self, prompt: str) -> bool:
        """Tell whether surface counts or score lie beyond what training prompts had."""
        return self.signals(prompt)[-1] == 1.0

    def parts(self, prompt: str, conversation: Conversation | None = None) -> list[tuple[str, Floats]]:
        """Return what moved each model's logit: (n-gram, surface or fact name, contribution per model), strongest difference first."""
        features = self._features
        window = features.window(prompt)
        scale = 1.0 / math.sqrt(len(window) + 1)
        found: dict[str, Floats] = {}
        text = b"\n" + window.lower()
        for row, n in enumerate(features.spec.orders):
            for at, bucket in enumerate(features.buckets(window)[row].tolist()):
                gram = text[at : at + n].decode("utf-8", "backslashreplace")
                found[f"{gram!r}"] = found.get(f"{gram!r}", np.zeros(len(self.models))) + self._table[:, bucket] * scale
        for name, value, weight in zip(SURFACE, features.surface(prompt, window), self._dense[: len(self.models)].T):
            found[name] = weight * value
        if self._around is not None and conversation is not None:
            found |= {name: weight * value for name, value, weight in zip(FACTS, facts(conversation, prompt), self._around.T)}
        return sorted(found.items(), key=lambda item: -abs(float(item[1][0] - item[1][-1])))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return weights and novelty as they were given."""
        return {**self._stored, **self._novelty.arrays()}

    def options(self) -> dict[str, Any]:
        """Return feature spec, knots and fallback."""
        fallback = self._fallback.to_json() if self._fallback is not None else None
        own = {"features": asdict(self._features.spec), "fallback": fallback, "level": list(self._level)}
        return {**super().options(), **own, "score_range": [self._low, self._high]}

    def feature_hash(self) -> str:
        """Return the digest of the feature spec, and of the facts where they have weights."""
        digest = self._features.spec.digest()
        return digest if self._around is None else hashlib.sha256(f"{digest} {FACTS}".encode()).hexdigest()

    @classmethod
    def restore(cls, models: tuple[str, ...], options: Mapping[str, Any], arrays: Arrays, embedders: Embedders) -> Self:
        """Build from stored weights."""
        novelty = Novelty(arrays["novelty_mean"], arrays["novelty_whiten"], float(arrays["novelty_limit"][0]))
        if set(arrays) - {AROUND} != {*WEIGHTS, *novelty.arrays()}:
            raise ValueError(f"arrays are {sorted(arrays)}")
        fallback = PairCalibration.from_json(options["fallback"]) if options["fallback"] is not None else None
        spec, calibration = FeatureSpec.from_options(options["features"]), stored_calibration(models, options)
        level, (low, high) = tuple(float(v) for v in options["level"]), options["score_range"]
        return cls(models, spec, arrays, novelty, calibration, fallback, level, (float(low), float(high)))


class LogisticFitter:
    """Fits one scikit-learn LogisticRegression per model on a design matrix that is built once."""

    kind: ClassVar[str] = "logistic"
    router: ClassVar[type[LogisticRouter]] = LogisticRouter
    default_strength: ClassVar[float] = 0.25
    strength_option: ClassVar[str] = "inverse_regularization"

    def __init__(self, data: ScoreTable, options: Mapping[str, Any], embedders: Embedders) -> None:
        """Read the options and count the features.

        Options: those of FeatureSpec; inverse_regularization (scikit-learn's C); surface_scale (weight of the standardised surface
        counts against the n-grams, whose rows have mean norm one); background_scale (weight of what the background says, likewise);
        idf (true: rare n-grams get more room).
        """
        from router_models.design import design

        spec_keys = [f.name for f in fields(FeatureSpec)]
        check_options(self.kind, options, [*spec_keys, self.strength_option, "surface_scale", "background_scale", "idf"])
        self.data, self.spec = data, FeatureSpec.from_options(options)
        self._strength = float(options.get(self.strength_option, self.default_strength))
        self._surface_scale = float(options.get("surface_scale", 0.075))
        self._idf = bool(options.get("idf", True))
        self.grams, self.surface = design(self.spec, data.prompts)
        self._background_scale = float(options.get("background_scale", 0.3))
        self.hardness = self._hardness(data) if data.background is not None else None
        self.facts: Floats | None = None
        if data.chats is not None and any(chat != ALONE for chat in data.chats):
            self.facts = np.array([facts(chat, prompt) for chat, prompt in zip(data.chats, data.prompts)])

    @one_thread()
    def fit(self, rows: Rows) -> LogisticFit:
        """Fit every head on `rows`."""
        from router_models.design import idf

        grams = self.grams[rows]
        weight = idf(grams) if self._idf else np.ones(self.spec.buckets)
        weight = weight / _mean_norm(grams, weight)
        numbers = self.numbers(rows)
        scale = self._surface_scale / (numbers.std(axis=0) + 1e-3)
        if self.hardness is not None:
            scale[-1] = self._background_scale / (float(numbers[:, -1].std()) + 1e-9)
        fit = LogisticFit(self, rows, weight, numbers.mean(axis=0), scale)
        inputs = fit.inputs(rows)
        weights = self.data.weights[rows] if self.data.weights is not None else np.ones(len(rows))
        fit.heads = [self.head(inputs, self.data.scores[rows, m], weights) for m in range(len(self.data.models))]
        used = weight > 0.0
        for head in fit.heads:
            # Rounded before anything is measured: what is calibrated is exactly what is stored, at half the size.
            head.coef_ = np.array(head.coef_, dtype=np.float64).reshape(1, -1)
            buckets = head.coef_[0, : self.spec.buckets]
            if self.hardness is not None:
                # What the background says is a sum over the same buckets: into their weights with it, so that nobody computes it again.
                share = float(head.coef_[0, -1]) * float(scale[-1])
                buckets[used] += share * self.hardness[used] / weight[used]
                head.intercept_ = np.ravel(head.intercept_) - share * float(fit.mean[-1])
                head.coef_[0, -1] = 0.0
            buckets[used] = (buckets[used] * weight[used]).astype(np.float32) / weight[used]
        return fit

    def numbers(self, rows: Rows) -> Floats:
        """Return the surface counts of rows, then conversation facts and what the background says, where there are any."""
        columns = [self.surface[rows]] if self.facts is None else [self.surface[rows], self.facts[rows]]
        if self.hardness is not None:
            columns.append((self.grams[rows] @ self.hardness).reshape(-1, 1))
        return np.hstack(columns)

    @one_thread()
    def _hardness(self, data: ScoreTable) -> Floats:
        """Return the weight of each bucket for the mean score of the background's models; higher is easier."""
        from router_models.design import design, idf

        assert data.background is not None
        own = {stem(prompt) for prompt in data.prompts}
        rows = np.array([i for i, prompt in enumerate(data.background.prompts) if stem(prompt) not in own], dtype=np.int64)
        if len(rows) == 0:
            raise ValueError("the background has no question that the training data has not")
        known = data.background.take(rows)
        grams, _ = design(self.spec, known.prompts)
        weight = idf(grams)
        weight = weight / _mean_norm(grams, weight)
        head = _logistic(grams.multiply(weight).tocsr(), known.scores.mean(axis=1), np.ones(len(rows)), BACKGROUND_STRENGTH)
        found: Floats = head.coef_[0] * weight
        return found

    def head(self, inputs: Any, target: Floats, weights: Floats) -> Any:
        """Fit one head; a target between 0 and 1 counts as that much of a success and the rest of a failure."""
        return _logistic(inputs, target, weights, self._strength)


class LogisticFit:
    """Fitted scikit-learn heads, before calibration."""

    def __init__(self, fitter: LogisticFitter, rows: Rows, weight: Floats, mean: Floats, scale: Floats) -> None:
        """Take the scaling of the inputs.

        Args:
            rows: what was trained on.
            weight: what n-gram counts are multiplied by, shape (buckets,).
            mean, scale: what `LogisticFitter.numbers` are shifted and multiplied by, shape (len(SURFACE) [+ len(FACTS)] [+ 1],).
        """
        self.heads: list[Any] = []
        self._fitter, self._weight, self.mean, self._scale = fitter, weight, mean, scale
        self._novelty = fit_novelty(fitter.surface[rows])

    def inputs(self, rows: Rows) -> Any:
        """Return the CSR matrix that the heads see, for the given rows."""
        from scipy import sparse

        numbers = (self._fitter.numbers(rows) - self.mean) * self._scale
        return sparse.hstack([self._fitter.grams[rows].multiply(self._weight), sparse.csr_matrix(numbers)]).tocsr()

    def weights(self) -> dict[str, NDArray[Any]]:
        """Return table, surface weights and intercepts for inputs as the featurizer makes them."""
        buckets = self._fitter.spec.buckets
        coefficients = np.vstack([head.coef_[0] for head in self.heads])
        numbers = coefficients[:, buckets:] * self._scale
        intercept = np.array([float(np.ravel(head.intercept_)[0]) for head in self.heads]) - numbers @ self.mean
        table = (coefficients[:, :buckets] * self._weight).astype(np.float32)
        around = {AROUND: numbers[:, len(SURFACE) : len(SURFACE) + len(FACTS)]} if self._fitter.facts is not None else {}
        return {"table": table, "surface": numbers[:, : len(SURFACE)], "intercept": intercept, **around}

    def signals(self, rows: Rows) -> Floats:
        """Return raw qualities, log(1 + characters) and the out-of-domain flag, per row."""
        x, surface = self.inputs(rows), self._fitter.surface[rows]
        link = np.vectorize(self._fitter.router.link, otypes=[np.float64])
        raw = [link(x @ head.coef_[0] + float(np.ravel(head.intercept_)[0])) for head in self.heads]
        flags = np.array([self._novelty.distance(s) > self._novelty.limit for s in surface], dtype=np.float64)
        return np.column_stack([*raw, surface[:, SURFACE.index("log_characters")], flags])

    def router(self, signals: Floats, rows: Rows) -> LogisticRouter:
        """Fit the knots on held-out signals of `rows` and return the router."""
        data = self._fitter.data
        scores = data.scores[rows]
        level = tuple(scores.mean(axis=0).tolist())
        # Placeholder knots: replaced by the line below, which is the same code that recalibrates on other traffic.
        knots = calibrate(scores, scores)
        fallback = knots if isinstance(knots, PairCalibration) else None
        bare = self._fitter.router(data.models, self._fitter.spec, self.weights(), self._novelty, knots, fallback, level)
        return bare.with_knots(signals, scores, data.weights[rows] if data.weights is not None else None)


def _mean_norm(grams: Any, weight: Floats) -> float:
    """Return the mean length of weighted rows; divided by it, regularisation means the same for every choice of orders."""
    weighted = grams.multiply(weight).tocsr()
    return max(float(np.sqrt(weighted.multiply(weighted).sum(axis=1)).mean()), 1e-12)


def _logistic(inputs: Any, target: Floats, weights: Floats, strength: float) -> Any:
    """Return a LogisticRegression fitted on targets in [0, 1]; `strength` is scikit-learn's C."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    label, weight = np.repeat([1.0, 0.0], len(target)), np.concatenate([weights * target, weights * (1.0 - target)])
    used = weight > 0.0
    if len(set(label[used])) == 1:
        # scikit-learn refuses one class: half a success and half a failure of each row, at next to no weight.
        weight = np.maximum(weight, 1e-3)
        used = weight > 0.0
    both = sparse.vstack([inputs, inputs]).tocsr()[used]
    return LogisticRegression(C=strength, max_iter=500, tol=1e-5).fit(both, label[used], sample_weight=weight[used])


def _mixture(inputs: Floats, scores: Floats) -> tuple[Floats, Floats]:
    """Return (mix, bias) of one logistic regression per model on standardised inputs; shapes (m, d), (m,)."""
    from sklearn.linear_model import LogisticRegression

    mean, scale = inputs.mean(axis=0), inputs.std(axis=0) + 1e-9
    x = (inputs - mean) / scale
    mix, bias = np.empty((scores.shape[1], inputs.shape[1])), np.empty(scores.shape[1])
    for m in range(scores.shape[1]):
        weight = np.maximum(np.concatenate([scores[:, m], 1.0 - scores[:, m]]), 1e-3)
        label = np.repeat([1.0, 0.0], len(x))
        head = LogisticRegression(C=ADAPT_STRENGTH).fit(np.vstack([x, x]), label, sample_weight=weight)
        mix[m] = head.coef_[0] / scale
        bias[m] = float(head.intercept_[0]) - float(mix[m] @ mean)
    return mix, bias


def sigmoid(z: float) -> float:
    """Return 1 / (1 + exp(-z)) without overflow."""
    if z >= 0.0:
        return 1.0 / (1.0 + math.exp(-z))
    e = math.exp(z)
    return e / (1.0 + e)
