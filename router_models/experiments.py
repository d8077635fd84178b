"""The experiments behind every figure that the documentation shows; each returns rows of text and the curves to draw.

Outer folds are the five folds of the question stem. Everything that is fitted, knots included, is fitted inside the training folds
(`train` cross-fits there); nothing is selected on the outer folds. Each experiment leaves the random draws to a fixed seed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from router_models.calibration import Interpolation
from router_models.card import win_rates
from router_models.data import model_names, read_scores
from router_models.evaluate import Line, compare
from router_models.frontier import Point, aiq, cost_at, fit_frontier, hull, single_points, sweep
from router_models.metrics import apgr, calibration_error, perfect_calibration_band, pgr_curve
from router_models.nested import grid, nested
from router_models.quantile import StreamingQuantile
from router_models.recipe import Recipe
from router_models.routers.logistic import LogisticRouter
from router_models.routers.registry import FITTERS
from router_models.serving import (
    CHARACTERS,
    CORRUPTIONS,
    HEAVY,
    exported_difference,
    import_cost,
    microseconds,
    of_length,
    prompts_per_second,
    refused_corruptions,
    trained_on,
)
from router_models.split import fold, stem
from router_models.table import ScoreTable, joined
from router_models.train import train
from router_models.verdict import Check, at_least, at_most, figure

MMLU = "routellm_mmlu_public80"
MMLU_PAIR = ("gpt-4-1106-preview", "mixtral-8x7b-instruct-v0.1")
PRO_PAIR = ("gemini-1.5-pro-002", "Mixtral-8x7B-Instruct-v0.1")
MIX_PAIR = ("llama-3.1-nemotron-51b-instruct", "llama-3.1-8b-instruct")
OTHER_TRAFFIC = (
    "routerbench_arc_challenge",
    "routerbench_winograde",
    "zeroeval_crux",
    "zeroeval_math_l5",
    "mmlu_pro_public80",
    "llmrouter_mix",
)
UNLIKE = OTHER_TRAFFIC[:4]
"""Traffic that shares neither questions nor form with MMLU."""
BUDGETS = 61
"""Mean spends per call at which a router with many models is measured."""
SUBJECT_PARTS = 10
GROUPINGS = 3
MANY = "default"
"""The router that the goals for many models with costs are about."""
PRO_INCOMPLETE = ("gemini-1.5-pro-002", "gemini-1.5-flash-002")
"""Models of MMLU-Pro with missing answers; their rows would be lost."""
INFORMED = "default + background"
"""The default recipe trained with `with_background`."""
LABELS = 1500
SEEDS = 5
STREAM_SEEDS = 20
SWITCH_LABELS = 500

Say = Callable[[str], None]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Section:
    """One experiment's outcome."""

    title: str
    how: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    curves: Mapping[str, list[Point]] = field(default_factory=dict)
    """Name -> points (strong share, PGR) or (dollars per 1,000, quality)."""
    axes: tuple[str, str] = ("", "")
    checks: tuple[Check, ...] = ()
    """What this experiment says about the goals."""


def with_background(data: Path, table: ScoreTable) -> ScoreTable:
    """Return the table with MMLU-Pro's answers of 26 other models as background, without any question of the whole table."""
    path = data / "mmlu_pro_public80.parquet"
    pro = read_scores(path, [name for name in model_names(path) if name not in PRO_INCOMPLETE]).table
    own = {stem(prompt) for prompt in table.prompts}
    fresh = np.array([i for i, prompt in enumerate(pro.prompts) if stem(prompt) not in own], dtype=np.int64)
    return replace(table, background=pro.take(fresh))


def folds_of(table: ScoreTable) -> NDArray[np.int64]:
    """Return the fold of each row."""
    return np.array([fold(prompt) for prompt in table.prompts], dtype=np.int64)


def outer(recipe: Recipe, table: ScoreTable, parts: NDArray[np.int64]) -> tuple[Floats, Floats, NDArray[np.bool_]]:
    """Train on all parts but one, answer that one, for each part.

    Returns: qualities (n, models), win rates (n,), out-of-domain flags (n,).
    """
    quality, win, novel = np.empty(table.scores.shape), np.empty(len(table)), np.zeros(len(table), dtype=bool)
    for part in np.unique(parts):
        unseen = np.flatnonzero(parts == part)
        trained = train(recipe, table.take(np.flatnonzero(parts != part)), [], _silent)
        prompts = [table.prompts[i] for i in unseen.tolist()]
        quality[unseen] = trained.router.quality(prompts)
        win[unseen] = win_rates(trained.card, quality[unseen])
        novel[unseen] = [trained.router.is_out_of_domain(prompt) for prompt in prompts]
    return quality, win, novel


def raw_gaps(recipe: Recipe, table: ScoreTable, parts: NDArray[np.int64]) -> Floats:
    """Train on all parts but one, and return the raw strong minus weak quality of that one, for each part; two models.

    Raw, because every part has knots of its own: where they are nearly flat, small differences between parts' knots would decide the order
    of prompts of different parts, which no single artifact ever does.
    """
    found = np.empty(len(table))
    fitter = FITTERS[recipe.kind](table, recipe.options, {})
    for part in np.unique(parts):
        unseen = np.flatnonzero(parts == part)
        signals = fitter.fit(np.flatnonzero(parts != part)).signals(unseen)
        found[unseen] = signals[:, 0] - signals[:, 1]
    return found


def _silent(_: str) -> None:
    return None


def _line(line: Line) -> tuple[str, ...]:
    gain, low, high = line.over_length
    return (
        line.name,
        f"{line.apgr:.3f} [{line.apgr_interval[0]:.3f}, {line.apgr_interval[1]:.3f}]",
        f"{line.cpt_50:.1%}",
        f"{line.cpt_80:.1%}",
        f"{gain:+.3f} [{low:+.3f}, {high:+.3f}]",
    )


PAIR_HEADER = ("router", "APGR [95 %]", "CPT50", "CPT80", "paired gain over length [95 %]")


def nested_choice(data: Path, recipe: Recipe, say: Say) -> Section:
    """MMLU, five outer folds, each answered by the recipe that the other four folds chose by their own cross-validation."""
    table = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    tried = grid(recipe)
    found = nested(tried, table, folds_of(table), say)
    lines = compare({"chosen inside": found.gap}, table)
    keys = ("orders", "inverse_regularization", "surface_scale")
    rows = [(*_line(line), "") for line in lines]
    for part, chosen in sorted(found.chosen.items()):
        what = ", ".join(f"{key} {chosen.options[key]}" for key in keys)
        rows.append((f"outer fold {part}", f"{found.inner_apgr[part]:.3f} inside", "", "", "", what))
    how = f"{len(table)} rows; outer folds by sha256(stem) mod 5; {len(tried)} configurations, chosen by inner cross-validation"
    best = lines[0]
    checks = (
        at_least(1, "MMLU, nested: APGR", best.apgr, 0.655, 0.69, shown=_line(best)[1]),
        at_least(1, "MMLU, nested: lower bound of the paired gain over length", best.over_length[1], 0.05, 0.08, shown=_line(best)[4]),
    )
    return Section("Recipe chosen inside the training folds: MMLU", how, (*PAIR_HEADER, "chosen"), tuple(rows), checks=checks)


def in_domain(data: Path, recipe: Recipe, others: Mapping[str, Recipe], say: Say) -> list[Section]:
    """MMLU, five outer folds: the default beside the family, with cost per prompt; calibration and out-of-domain flags of the default."""
    table = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    parts, informed = folds_of(table), with_background(data, table)
    scores, micros = {}, {}
    default: tuple[Floats, Floats, NDArray[np.bool_]] | None = None
    for name, one in {"default": recipe, **others}.items():
        say(f"in domain: {name}")
        found = outer(one, table, parts)
        default = default or found
        scores[name] = found[1]
        half = train(one, table.take(np.arange(0, len(table), 2)), [], _silent).router
        micros[name] = float(np.median(microseconds(half, table.prompts[:600])))
    assert default is not None
    say(f"in domain: {INFORMED}")
    scores[INFORMED] = outer(recipe, informed, parts)[1]
    lines = compare(scores, table)
    rows = tuple((*_line(line), f"{micros[line.name]:.0f} us" if line.name in micros else "") for line in lines)
    curves = {"default": _curve(scores["default"], table)}
    curves["random"] = [(0.0, 0.0), (1.0, 1.0)]
    curves["length"] = _curve(np.array([float(len(p)) for p in table.prompts]), table)
    strong, weak = table.scores[:, 0], table.scores[:, 1]
    wins = (strong > weak).astype(np.float64)
    ece, debiased = calibration_error(default[1], wins)
    per_model = [calibration_error(default[0][:, m], table.scores[:, m]) for m in range(2)]
    calibration = (
        ("win rate", f"{ece:.4f}", f"{debiased:.4f}"),
        *((f"quality of {name}", f"{e:.4f}", f"{d:.4f}") for name, (e, d) in zip(table.models, per_model)),
    )
    novelty = _novelty_section(data, recipe, table, float(default[2].mean()), say)
    how = f"{len(table)} rows, five outer folds by sha256(stem) mod 5; all fitting, calibration and scaling inside the training folds"
    own, pooled = lines[0], "pooled over the outer folds, 10 equal-mass bins"
    fixed = (
        at_least(1, "MMLU, the recipe as shipped: APGR", own.apgr, 0.655, 0.69, shown=_line(own)[1]),
        at_least(1, "MMLU, the recipe as shipped: lower bound of the gain", own.over_length[1], 0.05, 0.08, shown=_line(own)[4]),
        *(
            figure(
                13,
                f"MMLU: {line.name} against default {own.apgr:.3f}",
                f"{line.apgr:.3f}, {micros[line.name] / micros['default']:.1f}x cost",
            )
            for line in lines
            if line.name == "ensemble"
        ),
        *(figure(13, f"MMLU: {line.name}, at the default's cost", _line(line)[1]) for line in lines if line.name == INFORMED),
    )
    trust = (
        at_most(7, "debiased ECE of the win rate", debiased, 0.015, None, 4),
        *(at_most(7, f"debiased ECE of the quality of {name}", d, 0.015, None, 4) for name, (_, d) in zip(table.models, per_model)),
    )
    return [
        Section("In domain: MMLU", how, (*PAIR_HEADER, "CPU per prompt"), rows, curves, ("strong share", "PGR"), fixed),
        Section("Calibration on unseen MMLU folds", pooled, ("what", "ECE", "debiased"), calibration, checks=trust),
        novelty,
    ]


def _curve(score: Floats, table: ScoreTable) -> list[Point]:
    curve = pgr_curve(score, table.scores[:, 0], table.scores[:, 1])
    at = np.linspace(0, len(curve) - 1, 101).astype(int)
    return [(float(i) / (len(curve) - 1), float(curve[i])) for i in at]


def _novelty_section(data: Path, recipe: Recipe, table: ScoreTable, on_mmlu: float, say: Say) -> Section:
    say("out of domain")
    router = train(recipe, table, [], _silent).router
    rows = [("MMLU, unseen folds (false alarms)", f"{on_mmlu:.1%}", str(len(table)))]
    checks = [at_most(4, "MMLU prompts flagged as out of domain", on_mmlu, 0.05, 0.02)]
    for name in OTHER_TRAFFIC:
        path = data / f"{name}.parquet"
        prompts = read_scores(path, model_names(path)[:1]).table.prompts
        flagged = float(np.mean([router.is_out_of_domain(p) for p in prompts]))
        rows.append((name, f"{flagged:.1%}", str(len(prompts))))
        if name in UNLIKE:
            checks.append(at_least(4, f"{name} prompts flagged as out of domain", flagged, 0.8, 0.95))
    how = "default trained on MMLU; share of prompts flagged (MMLU-Pro is MMLU with ten options; it is half familiar by construction)"
    return Section("Out-of-domain flag", how, ("prompts", "flagged", "rows"), tuple(rows), checks=tuple(checks))


def subjects_out(data: Path, recipe: Recipe, others: Mapping[str, Recipe], say: Say) -> Section:
    """MMLU, whole subjects left out, ten groups of subjects; bootstrap by subject."""
    table = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    names, parts = np.unique(np.array(table.groups), return_inverse=True)
    scores = {}
    for name, one in {"default": recipe, **others}.items():
        say(f"leave subjects out: {name}")
        scores[name] = raw_gaps(one, table, parts)
    own, length = _standard(scores["default"]), _standard(np.log1p([len(p) for p in table.prompts]))
    say("leave subjects out: difficulty of MMLU-Pro")
    difficulty = _standard(_difficulty_elsewhere(data, table, parts))
    scores["default + length"] = own + length
    scores["difficulty of MMLU-Pro"] = difficulty
    scores["default + length + difficulty"] = own + length + difficulty
    lines = compare(scores, table, clustered=True)
    groupings = []
    for seed in range(GROUPINGS):
        say(f"leave subjects out: grouping {seed + 1} of {GROUPINGS}")
        group = np.random.default_rng(seed).permutation(len(names)) % SUBJECT_PARTS
        gaps = raw_gaps(recipe, table, group[parts])
        groupings.append(apgr(gaps, table.scores[:, 0], table.scores[:, 1]))
    many = f"{min(groupings):.3f} .. {max(groupings):.3f}"
    rows = (*map(_line, lines), (f"default, {GROUPINGS} random groupings into {SUBJECT_PARTS}", many, "", "", ""))
    how = f"each of {len(names)} subjects answered by models that saw none of it; intervals draw subjects"
    by_name = {line.name: line for line in lines}
    told = ("default", "default + length", "default + length + difficulty")
    checks = (
        *(
            at_least(2, f"unseen subjects, {n}: lower bound of the gain", by_name[n].over_length[1], 0.0, 0.03, shown=_line(by_name[n])[4])
            for n in told
        ),
        *(figure(13, f"unseen subjects: {n} against default {lines[0].apgr:.3f}", f"{by_name[n].apgr:.3f}") for n in others),
    )
    return Section("Leave-subject-out: MMLU", how, PAIR_HEADER, rows, checks=checks)


def _standard(score: Floats) -> Floats:
    scaled: Floats = (score - score.mean()) / score.std()
    return scaled


def _difficulty_elsewhere(data: Path, table: ScoreTable, parts: NDArray[np.int64]) -> Floats:
    """Return how hard 26 models would find each prompt, learned from MMLU-Pro without the questions of the prompt's own part."""
    path = data / "mmlu_pro_public80.parquet"
    models = model_names(path)
    pro = read_scores(path, [name for name in models if name not in PRO_INCOMPLETE]).table
    hard = ScoreTable(("difficulty",), pro.prompts, pro.groups, 1.0 - pro.scores.mean(axis=1, keepdims=True))
    stems, own = [stem(prompt) for prompt in pro.prompts], [stem(prompt) for prompt in table.prompts]
    fitter = FITTERS["ridge"](hard, {"regularization": 10.0, "surface_scale": 1e-6}, {})
    found = np.empty(len(table))
    for part in np.unique(parts % SUBJECT_PARTS):
        rows = np.flatnonzero(parts % SUBJECT_PARTS == part)
        asked = {own[i] for i in rows.tolist()}
        kept = np.array([i for i, s in enumerate(stems) if s not in asked], dtype=np.int64)
        fit = fitter.fit(kept)
        router = fit.router(fit.signals(kept), kept)
        assert isinstance(router, LogisticRouter)
        found[rows] = [router.logits(table.prompts[i])[0] for i in rows.tolist()]
    return found


def few_labels(data: Path, recipe: Recipe, others: Mapping[str, Recipe], say: Say) -> Section:
    """MMLU with 1,500 labels, the rest as test, mean of five seeds."""
    table = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    rows, means = [], {}
    informed = with_background(data, table)
    for name, one in {"default": recipe, INFORMED: recipe, "length": Recipe("length"), **others}.items():
        say(f"{LABELS} labels: {name}")
        source = informed if name == INFORMED else table
        areas = []
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(len(table))
            trained = train(one, source.take(order[:LABELS]), [], _silent)
            known = {stem(table.prompts[i]) for i in order[:LABELS]}
            rest = table.take(np.array([i for i in order[LABELS:] if stem(table.prompts[i]) not in known], dtype=np.int64))
            quality = trained.router.quality(rest.prompts)
            areas.append(apgr(quality[:, 0] - quality[:, 1], rest.scores[:, 0], rest.scores[:, 1]))
        means[name] = float(np.mean(areas))
        rows.append((name, f"{means[name]:.3f}", " ".join(f"{a:.3f}" for a in areas)))
    checks = (
        at_least(3, f"{LABELS} labels: mean APGR of {SEEDS} seeds", means["default"], 0.615, 0.65),
        *(figure(13, f"{LABELS} labels: {n} against default {means['default']:.3f}", f"{means[n]:.3f}") for n in (INFORMED, *others)),
    )
    header = ("router", "mean APGR", "each seed")
    return Section(f"{LABELS} labels", f"{SEEDS} seeds; tested on all other questions", header, tuple(rows), checks=checks)


def other_pairs(data: Path, recipe: Recipe, others: Mapping[str, Recipe], say: Say) -> list[Section]:
    """MMLU-Pro and the mix of fourteen tasks, five outer folds, beside a domain table learned from the same rows."""
    found = []
    for file, pair in (("mmlu_pro_public80", PRO_PAIR), ("llmrouter_mix", MIX_PAIR)):
        table = read_scores(data / f"{file}.parquet", pair).table
        scores = {}
        for name, one in {"default": recipe, **others}.items():
            say(f"{file}: {name}")
            scores[name] = outer(one, table, folds_of(table))[1]
        lines = compare(scores, table)
        rows = tuple(map(_line, lines))
        how = f"{len(table)} rows, {pair[0]} against {pair[1]}, five outer folds"
        area = {line.name: line.apgr for line in lines}
        best = max(("default", *others), key=lambda name: area[name])
        checks = (
            at_least(6, f"{file}: default over length {area['length']:.3f}", area["default"], area["length"], None),
            at_least(6, f"{file}: default over the domain table {area['domain_table']:.3f}", area["default"], area["domain_table"], None),
            figure(6, f"{file}: best of the family", f"{best} {area[best]:.3f}"),
        )
        found.append(Section(f"Other traffic: {file}", how, PAIR_HEADER, rows, checks=checks))
    return found


def domain_switch(data: Path, recipe: Recipe, say: Say) -> list[Section]:
    """Calibration and strong share after traffic switches from MMLU to something else."""
    say("domain switch")
    mmlu = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    trained = train(recipe, mmlu, [], _silent)
    router, card = trained.router, trained.card
    assert isinstance(router, LogisticRouter)
    pro = read_scores(data / "mmlu_pro_public80.parquet", PRO_PAIR).table
    known = {stem(p) for p in mmlu.prompts}
    fresh = pro.take(np.array([i for i, p in enumerate(pro.prompts) if stem(p) not in known], dtype=np.int64))
    order = np.random.default_rng(1).permutation(len(fresh))
    labelled, test = fresh.take(order[:SWITCH_LABELS]), fresh.take(order[SWITCH_LABELS:])
    again = router.adapted(labelled.prompts, labelled.scores)
    wins = (test.scores[:, 0] > test.scores[:, 1]).astype(np.float64)
    rows = []
    for name, one, knots in (("as trained on MMLU", router, card), (f"adapted with {SWITCH_LABELS} labels", again, None)):
        quality = one.quality(test.prompts)
        p = win_rates(knots, quality) if knots is not None else pair_win_rates(one, quality)
        ece, debiased = calibration_error(p, wins)
        band = perfect_calibration_band(p)
        area = apgr(quality[:, 0] - quality[:, 1], test.scores[:, 0], test.scores[:, 1])
        rows.append((name, f"{ece:.3f}", f"{debiased:.3f}", f"{band:.3f}", f"{area:.3f}"))
        checks = (at_most(7, f"ECE on MMLU-Pro, {name}", ece, max(0.05, band), None),)
    header = ("router", "ECE", "debiased", "95 % bound of ECE for a perfect predictor", "APGR")
    how = f"MMLU-Pro questions that are not in MMLU, {len(test)} test rows, {PRO_PAIR[0]} against {PRO_PAIR[1]}"
    title = "Calibration after a switch to MMLU-Pro"
    return [Section(title, how, header, tuple(rows), checks=checks), _streaming(data, router, card.sample)]


def pair_win_rates(router: LogisticRouter, quality: Floats) -> Floats:
    """Return win rates of qualities by the router's own knots."""
    knots = router.gain_knots()
    back = Interpolation([g for _, g in knots], [p for p, _ in knots])
    return np.array([back(gain) for gain in (quality[:, 0] - quality[:, 1]).tolist()])


def _streaming(data: Path, router: LogisticRouter, sample: Floats) -> Section:
    rows, checks = [], []
    start = (sample[:, 0] - sample[:, 1]).tolist()
    fixed = float(np.quantile(start, 0.7))
    for name in ("mmlu_pro_public80", "routerbench_arc_challenge", "zeroeval_crux", "llmrouter_mix"):
        path = data / f"{name}.parquet"
        prompts = read_scores(path, model_names(path)[:1]).table.prompts
        quality = router.quality(prompts)
        gains = quality[:, 0] - quality[:, 1]
        shares = []
        for seed in range(STREAM_SEEDS):
            drawn = np.random.default_rng(seed).choice(gains, 1500, replace=True).tolist()
            stream = StreamingQuantile(0.3, start=start)
            taken = [stream.is_strong(gain) for gain in drawn]
            shares.append(float(np.mean(taken[500:])))
        rows.append((name, f"{(gains >= fixed).mean():.1%}", f"{np.mean(shares):.1%}", f"{min(shares):.1%} .. {max(shares):.1%}"))
        checks.append(at_most(8, f"strong share off 30 % after a switch to {name}", abs(float(np.mean(shares)) - 0.3), 0.03, 0.01, 4))
    header = ("new traffic", "fixed threshold", "streaming, mean", "streaming, range")
    how = f"target 30 % strong; requests 501-1,500 after a switch from MMLU, {STREAM_SEEDS} seeds, drawn with replacement"
    return Section("Strong share after a domain switch", how, header, tuple(rows), checks=tuple(checks))


def many_models(data: Path, recipes: Mapping[str, Recipe], say: Say) -> list[Section]:
    """ARC and WinoGrande, 11 models with dollars: AIQ beside the zero router and a per-data-set table, together and one by one."""
    files = ("routerbench_arc_challenge", "routerbench_winograde")
    models = sorted(set(model_names(data / f"{files[0]}.parquet")) & set(model_names(data / f"{files[1]}.parquet")))
    tables = [read_scores(data / f"{f}.parquet", models, with_costs=True).table for f in files]
    both = joined(tables)
    origin = np.repeat([0, 1], [len(t) for t in tables])
    return [_many("ARC + WinoGrande", both, origin, recipes, say)] + [
        _many(f, t, np.zeros(len(t), dtype=np.int64), recipes, say) for f, t in zip(files, tables)
    ]


def _many(name: str, table: ScoreTable, origin: NDArray[np.int64], recipes: Mapping[str, Recipe], say: Say) -> Section:
    assert table.costs is not None
    scores, costs, parts = table.scores, table.costs, folds_of(table)
    singles = single_points(scores, costs)
    span = (min(c for c, _ in singles), max(c for c, _ in singles))
    best = max(q for _, q in singles)
    curves: dict[str, list[Point]] = {"zero router": singles}
    by_origin = np.array([scores[origin == o].mean(axis=0) for o in origin])
    curves["per-data-set table (in-sample)"] = sweep(by_origin, costs.mean(axis=0), scores, costs)
    for label, recipe in recipes.items():
        say(f"{name}: {label}")
        curves[label] = _crossed(recipe, table, parts)
    curves["oracle"] = sweep(scores, costs, scores, costs)
    rows, checks = [], []
    floor = aiq(singles, span)
    for label, points in curves.items():
        if label in recipes and len(np.unique(origin)) > 1 and label == MANY:
            checks.append(at_least(5, f"{name}: AIQ of {label}, zero router {floor:.4f}", aiq(points, span), 0.872, 0.885, 4))
        if label in recipes and label == MANY:
            checks.append(at_least(5, f"{name}: AIQ of {label} over the zero router", aiq(points, span) - floor, -0.005, 0.0, 4))
        reach = cost_at(points, 0.98 * best)
        rows.append((label, f"{aiq(points, span):.4f}", f"{1000 * reach:.2f}" if reach is not None else "not reached"))
    drawn = {label: [(1000 * c, q) for c, q in hull(points)] for label, points in curves.items() if label != "oracle"}
    how = f"{len(table)} complete rows, {len(table.models)} models, five outer folds; $/1k at 98 % of the best single model"
    axes = ("dollars per 1,000", "quality")
    return Section(f"Many models: {name}", how, ("router", "AIQ", "$/1k at 98 %"), tuple(rows), drawn, axes, tuple(checks))


def _crossed(recipe: Recipe, table: ScoreTable, parts: NDArray[np.int64]) -> list[Point]:
    """Return a point for each of BUDGETS mean spends, answered on each part by a frontier that the other parts drew."""
    assert table.costs is not None
    singles = single_points(table.scores, table.costs)
    budgets = np.linspace(min(c for c, _ in singles), max(c for c, _ in singles), BUDGETS)
    paid, got = np.zeros(BUDGETS), np.zeros(BUDGETS)
    for part in np.unique(parts):
        known, outside = table.take(np.flatnonzero(parts != part)), np.flatnonzero(parts == part)
        assert known.costs is not None
        trained = train(recipe, known, [], _silent)
        expected = known.costs.mean(axis=0)
        frontier = fit_frontier(trained.held_out, expected, known.scores, known.costs)
        quality = trained.router.quality([table.prompts[i] for i in outside.tolist()])
        for at, budget in enumerate(budgets.tolist()):
            for policy, share in frontier.at(budget):
                taken = policy.apply(quality, expected)
                paid[at] += share * float(table.costs[outside, taken].sum())
                got[at] += share * float(table.scores[outside, taken].sum())
    return list(zip((paid / len(table)).tolist(), (got / len(table)).tolist()))


def serving(data: Path, recipe: Recipe, say: Say) -> Section:
    """Speed, equality with scikit-learn, refusal of damage and import cost of the default."""
    say("serving")
    table = read_scores(data / f"{MMLU}.parquet", MMLU_PAIR, "routellm_excluded").table
    artifact = trained_on(recipe, table)
    taken = microseconds(artifact.router, of_length(table, CHARACTERS))
    long = microseconds(artifact.router, of_length(table, 8192))
    each_s = prompts_per_second(artifact.router, of_length(table, CHARACTERS) * 100)
    refused = refused_corruptions(artifact)
    import_ms, heavy = import_cost()
    checks = (
        at_most(9, f"{CHARACTERS} characters, p50, us of CPU", float(np.median(taken)), 20.0, 8.0, 1),
        at_most(9, f"{CHARACTERS} characters, p99, us of CPU", float(np.quantile(taken, 0.99)), 100.0, None, 1),
        at_most(9, "8 KB, p50, us of CPU", float(np.median(long)), 60.0, None, 1),
        at_least(9, "prompts per second of CPU, one thread", each_s, 50_000.0, None, 0),
        at_most(
            10,
            "largest difference of a logit from scikit-learn's",
            difference := exported_difference(recipe, table),
            1e-9,
            None,
            shown=f"{difference:.1e}",
        ),
        at_least(11, f"corrupted artifacts refused, of {CORRUPTIONS}", float(refused), float(CORRUPTIONS), None, 0),
        at_most(12, "import of the serving side, ms of CPU, numpy included", import_ms, 150.0, None, 0),
        at_most(12, f"training libraries imported with it, of {len(HEAVY)}", float(len(heavy)), 0.0, None, 0),
    )
    rows = tuple((check.what, check.measured) for check in checks)
    how = "the default recipe trained on MMLU, saved and loaded; thread CPU time, one thread"
    return Section("Serving", how, ("what", "measured"), rows, checks=checks)
