"""Every metric of the gateway, by name: what is counted as requests end, and what is read when somebody scrapes.

Ours begin with `sluice_`; the `gen_ai_*` histograms follow OpenTelemetry's GenAI conventions in Prometheus spelling.
Labels come from closed sets (routes, models, classes, backends, reasons): never a key, a user or a prompt. Tenants are labels only in the
`sluice_tenant_limit*` families: those with hard limits, a bounded number of them (`core/tenants/shown.py`), and `other` for the rest.

Counters and histograms live here and are fed by `ended`, once per request, through children that are prepared per
(route, model, class, reason, endpoint, engine): one dictionary look-up per request. Gauges are computed by `render` from the same
state that the page shows, so that the two cannot disagree. The `slo:*` series of Sloth are recorded by the rules of
`sluice export rules`, not here: one name, one source.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.domain.decision import Placed
from gateway.domain.errors import SERVED, Reason
from gateway.domain.event import Outcome
from gateway.domain.facts import Endpoint, RequestFacts
from gateway.edges.telemetry.families import OTHER, Counter, Family, Histogram, counter, gauge_lines, head, histogram, label_text, number

NONE = "none"
MODES = ("green", "thrifty", "scarce", "exhausted")
SEVERITIES = ("page", "ticket")
BREAKER_STATES = ("closed", "half_open", "open")
SHEDS = frozenset({Reason.SHED_OVERLOAD, Reason.SHED_DEADLINE})

SHARE_BOUNDS = tuple(i / 20 for i in range(1, 21))
OVERHEAD_BOUNDS_S = (0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 1.0)
DURATION_BOUNDS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84)
TTFT_BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
TPOT_BOUNDS_S = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0)
TOKEN_BOUNDS = tuple(float(4**i) for i in range(14))

OPERATIONS = {Endpoint.CHAT: "chat", Endpoint.COMPLETIONS: "text_completion", Endpoint.EMBEDDINGS: "embeddings"}
_GEN_AI = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model", "gen_ai_response_model")


class _Row:
    """The children of one (route, model, class, reason, endpoint, engine)."""

    __slots__ = (
        "cached",
        "completion",
        "completion_size",
        "duration",
        "prompt",
        "prompt_size",
        "reasoning",
        "requests",
        "shed",
        "tpot",
        "ttft",
        "usd",
    )

    requests: Counter
    shed: Counter | None
    prompt: Counter
    completion: Counter
    cached: Counter
    reasoning: Counter
    usd: Counter
    duration: Histogram
    ttft: Histogram
    tpot: Histogram
    prompt_size: Histogram
    completion_size: Histogram


class Metrics:
    """All metrics of one process.

    Args:
        ttft_bounds_s: thresholds of the ttft SLOs; they become bucket bounds, so that rules can count late first
            tokens exactly.
    """

    def __init__(self, ttft_bounds_s: Sequence[float] = ()) -> None:
        self.requests = counter("sluice_requests_total", "Requests ended, by why.", "route", "model", "class", "reason", "fault")
        self.decisions = counter("sluice_decisions_total", "Requests placed, by what decided the model.", "route", "model", "why")
        self.sheds = counter("sluice_sheds_total", "Requests refused for lack of room.", "class", "reason")
        self.retries = counter("sluice_retries_total", "Further attempts on the same backend's behalf, after backoff.", "model")
        self.fallbacks = counter("sluice_fallbacks_total", "Attempts moved to another backend or model.", "model")
        self.tokens = counter("sluice_tokens_total", "Tokens billed; cached ones are part of input, reasoning of output.", "model", "type")
        self.usd = counter("sluice_cost_usd_total", "Dollars billed.", "model")
        self.estimated = counter("sluice_estimated_usage_total", "Requests whose tokens were estimated from bytes.", "model")
        self.win_rate = histogram("sluice_win_rate", "P(first model's answer beats the second's), as predicted.", SHARE_BOUNDS, "route")
        self.threshold = histogram("sluice_threshold", "Win rate from which the request went strong.", SHARE_BOUNDS, "route")
        self.overhead = histogram("sluice_overhead_seconds", "Gateway's own time per request.", OVERHEAD_BOUNDS_S)
        self.duration = histogram(
            "gen_ai_server_request_duration_seconds", "Request fully read to answer ended.", DURATION_BOUNDS_S, *_GEN_AI, "error_type"
        )
        self.ttft = histogram(
            "gen_ai_server_time_to_first_token_seconds",
            "Request fully read to first content.",
            (*TTFT_BOUNDS_S, *ttft_bounds_s),
            *_GEN_AI,
        )
        self.tpot = histogram(
            "gen_ai_server_time_per_output_token_seconds", "Mean time per token after the first.", TPOT_BOUNDS_S, *_GEN_AI
        )
        self.token_usage = histogram("gen_ai_client_token_usage", "Tokens per request.", TOKEN_BOUNDS, *_GEN_AI, "gen_ai_token_type")
        self._overhead = self.overhead.child()
        self._rows: dict[tuple[str, str, str, Reason, Endpoint, str], _Row] = {}
        self._choices: dict[tuple[str, str, str], tuple[Counter, Histogram, Histogram]] = {}

    def ended(self, facts: RequestFacts, placed: Placed | None, outcome: Outcome, usd: float, overhead_s: float) -> None:
        """Count one ended request; `placed` is its last placement, None when it never had one."""
        model = outcome.model or (placed.model.name if placed is not None else NONE)
        engine = placed.backend.engine if placed is not None else NONE
        key = (facts.route, model, facts.klass.name, outcome.reason, facts.endpoint, engine)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = self._row(*key)
        row.requests.value += 1
        row.usd.value += usd
        row.duration.observe(outcome.total_s)
        self._overhead.observe(overhead_s)
        if row.shed is not None:
            row.shed.value += 1
        if outcome.prompt_tokens:
            row.prompt.value += outcome.prompt_tokens
            row.prompt_size.observe(outcome.prompt_tokens)
            row.cached.value += outcome.cached_tokens
        tokens, ttft_s = outcome.completion_tokens, outcome.ttft_s
        if tokens:
            row.completion.value += tokens
            row.completion_size.observe(tokens)
            row.reasoning.value += outcome.reasoning_tokens
        if ttft_s is not None:
            row.ttft.observe(ttft_s)
            if tokens > 1:
                row.tpot.observe((outcome.total_s - ttft_s) / (tokens - 1))
        if outcome.is_estimated:
            self.estimated.child(model).value += 1
        if placed is not None:
            self._chosen(facts.route, placed)

    def turned_away(self, reason: Reason) -> None:
        """Count a request that was refused before anything was decided (no key, no such path, too large)."""
        self.requests.child(NONE, NONE, NONE, reason.value, reason.ending.fault.value).value += 1

    def again(self, model: str, is_retry: bool) -> None:
        """Count one further attempt of a request, on this model."""
        (self.retries if is_retry else self.fallbacks).child(model).value += 1

    def render(self, state: Mapping[str, Any]) -> str:
        """Return the exposition: what was counted, and gauges from `state` (shape: `/admin/state`, see `server/admin.py`)."""
        counted: tuple[Family[Counter] | Family[Histogram], ...] = (
            self.requests, self.decisions, self.sheds, self.retries, self.fallbacks, self.tokens, self.usd, self.estimated,
            self.win_rate, self.threshold, self.overhead, self.duration, self.ttft, self.tpot, self.token_usage,
        )  # fmt: skip
        lines = [line for family in counted for line in family.lines()]
        lines += _budget_lines(state.get("board") or {}, float(state.get("wall_s") or 0.0))
        lines += _local_lines(state.get("local") or {})
        lines += _limit_lines((state.get("local") or {}).get("tenants") or {})
        lines += _worker_lines(state.get("worker") or {}, (state.get("board") or {}).get("config_hash"))
        return "\n".join(lines) + "\n"

    def _row(self, route: str, model: str, klass: str, reason: Reason, endpoint: Endpoint, engine: str) -> _Row:
        gen_ai = (OPERATIONS[endpoint], engine, route, model)
        row = _Row()
        row.requests = self.requests.child(route, model, klass, reason.value, reason.ending.fault.value)
        row.shed = self.sheds.child(klass, reason.value) if reason in SHEDS else None
        kinds = ("input", "output", "cached", "reasoning")
        row.prompt, row.completion, row.cached, row.reasoning = (self.tokens.child(model, kind) for kind in kinds)
        row.usd = self.usd.child(model)
        row.duration = self.duration.child(*gen_ai, "" if reason is SERVED else reason.value)
        row.ttft, row.tpot = self.ttft.child(*gen_ai), self.tpot.child(*gen_ai)
        row.prompt_size, row.completion_size = (self.token_usage.child(*gen_ai, kind) for kind in ("input", "output"))
        return row

    def _chosen(self, route: str, placed: Placed) -> None:
        choice = placed.choice
        key = (route, choice.model, choice.reason)
        children = self._choices.get(key)
        if children is None:
            children = self._choices[key] = (self.decisions.child(*key), self.win_rate.child(route), self.threshold.child(route))
        children[0].value += 1
        if choice.win_rate is not None:
            children[1].observe(choice.win_rate)
        if choice.threshold is not None:
            children[2].observe(choice.threshold)


def _budget_lines(board: Mapping[str, Any], wall_s: float) -> Iterator[str]:
    """Yield the fleet-wide gauges, from what the governor published."""
    budgets: Sequence[Mapping[str, Any]] = board.get("budgets") or ()

    def each(field: str) -> Iterable[tuple[dict[str, str], float | None]]:
        return [(_slo_labels(b), b.get(field)) for b in budgets]

    yield from gauge_lines("sluice_budget_objective_ratio", "Target share of good events.", each("objective"))
    yield from gauge_lines("sluice_budget_remaining_ratio", "Share of the budget that is left; below 0 it is overdrawn.", each("remaining"))
    burns = [({**_slo_labels(b), "window": w}, v) for b in budgets for w, v in (b.get("burn") or {}).items()]
    yield from gauge_lines("sluice_budget_burn_rate", "1 spends the budget exactly at the window's end.", burns)
    yield from gauge_lines("sluice_price", "Cost: values per allowance; others: values per bad event.", each("price"))
    yield from gauge_lines(
        "sluice_budget_allowance", "Dollars per request, or bad events per event, that are affordable now.", each("allowance")
    )
    yield from gauge_lines("sluice_budget_usd", "Dollars of the period.", each("budget_usd"))
    yield from gauge_lines("sluice_budget_spent_usd", "Dollars spent in the period so far.", each("spent_usd"))
    estimated = each("estimated_usd")
    yield from gauge_lines("sluice_budget_estimated_usd", "Part of them that rests on tokens estimated from bytes.", estimated)
    yield from gauge_lines("sluice_budget_projected_ratio", "Spend at the period's end over the budget, as forecast.", each("projected"))
    yield from gauge_lines("sluice_forecast_requests", "Requests still to come in the period, as forecast.", each("forecast_requests_left"))
    yield from gauge_lines("sluice_forecast_level", "How busy it is against the learned hours of the week.", each("forecast_level"))
    predicted = each("predicted")
    yield from gauge_lines("sluice_budget_predicted_ratio", "Bad answers that the router expected, last hour; not the SLO.", predicted)
    alerts = [({**_slo_labels(b), "severity": s}, float(b["alert"] == s)) for b in budgets if "alert" in b for s in SEVERITIES]
    yield from gauge_lines("sluice_budget_alert", "1 for the tier that a budget burns in: page or ticket.", alerts)
    for name, field, text in (
        ("sluice_budget_infeasible", "infeasible", "1 when this SLO cannot be met together with those before it."),
        ("sluice_budget_exhausted", "exhausted", "1 when nothing of this budget is left."),
    ):
        named = board.get(field) or ()
        yield from gauge_lines(name, text, [(_slo_labels(b), float(b.get("slo") in named)) for b in budgets])
    alphas = [({"route": route}, value) for route, value in (board.get("alpha_ref") or {}).items()]
    yield from gauge_lines("sluice_alpha_ref", "Threshold of the median request with healthy backends.", alphas)
    by_class = board.get("alpha_by_class") or {}
    of_class = [({"route": r, "class": k}, alpha) for r, alphas_of in by_class.items() for k, alpha in alphas_of.items()]
    yield from gauge_lines("sluice_alpha_class", "The same for the median request of one class.", of_class)
    if "mode" in board:
        modes = [({"mode": mode}, float(mode == board["mode"])) for mode in dict.fromkeys((*MODES, str(board["mode"])))]
        yield from gauge_lines("sluice_mode", "1 for the mode in force.", modes)
    yield from gauge_lines("sluice_request_rate", "Requests per second over the whole fleet.", [({}, board.get("request_rate"))])
    made_s = board.get("made_wall_s")
    age_s = None if made_s is None else max(0.0, wall_s - made_s)
    yield from gauge_lines("sluice_budget_state_age_seconds", "Age of the published budget state.", [({}, age_s)])


def _local_lines(local: Mapping[str, Any]) -> Iterator[str]:
    """Yield this process's view of its backends and its queue."""
    backends: Sequence[Mapping[str, Any]] = local.get("backends") or ()

    def each(field: str) -> Iterable[tuple[dict[str, str], float | None]]:
        return [({"backend": b["id"], "model": b["model"]}, b.get(field)) for b in backends]

    yield from gauge_lines("sluice_backend_in_flight", "Requests sent and not ended.", each("in_flight"))
    yield from gauge_lines("sluice_backend_pending_tokens", "Prompt tokens sent and not prefilled.", each("pending_tokens"))
    yield from gauge_lines("sluice_backend_success_ratio", "Probability that an attempt succeeds now.", each("success"))
    yield from gauge_lines("sluice_backend_ttft_seconds", "Expected time to first token.", each("ttft_s"))
    states = [
        ({"backend": b["id"], "model": b["model"], "state": state}, float(state == b.get("breaker")))
        for b in backends
        for state in BREAKER_STATES
    ]
    yield from gauge_lines("sluice_breaker_state", "1 for the breaker's state.", states)
    yield from gauge_lines("sluice_queue_waiting", "Requests waiting for a backend.", [({}, (local.get("queue") or {}).get("waiting"))])
    yield from gauge_lines("sluice_reserved_usd", "Expected dollars of requests in flight.", [({}, local.get("reserved_usd"))])
    text = "Jain's index of the share of each tenant's requests that is answered."
    yield from gauge_lines("sluice_tenant_fairness", text, [({}, local.get("fairness"))])
    yield from gauge_lines("sluice_prices_version", "Version of the prices in force.", [({}, local.get("prices_version"))])
    yield from gauge_lines("sluice_prices_age_seconds", "Age of the prices in force.", [({}, local.get("prices_age_s"))])
    is_alone = float(local["alone_since_wall_s"] is not None) if "alone_since_wall_s" in local else None
    yield from gauge_lines("sluice_alone", "1 while this process prices by its own counts, its store being silent.", [({}, is_alone)])
    overrides = local.get("overrides") or {}
    yield from gauge_lines("sluice_pinned_routes", "Routes held by an operator's pin.", [({}, float(len(overrides.get("pins") or ())))])


def _limit_lines(tenants: Mapping[str, Any]) -> Iterator[str]:
    """Yield how the hard limits of tenants stand; keys are not told apart: their uses are summed, and their tightest one is shown."""
    rows: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
    others = dict(tenants.get("refused") or {})
    for limit in tenants.get("limits") or ():
        others[limit["kind"]] = others.get(limit["kind"], 0) - limit["refused"]
        row = {name: float(limit[name]) for name in ("amount", "remaining", "at_hand", "used", "refused")}
        known = rows.setdefault(tuple(_limit_labels(limit).items()), row)
        if known is not row:
            is_tighter = row["remaining"] * known["amount"] < known["remaining"] * row["amount"]
            sums = {name: known[name] + row[name] for name in ("at_hand", "used", "refused")}
            known.update((row if is_tighter else known) | sums)

    def each(field: str) -> Iterable[tuple[dict[str, str], float | None]]:
        return [(dict(labels), row[field]) for labels, row in rows.items()]

    units = "Requests, tokens or dollars, by kind"
    yield from gauge_lines("sluice_tenant_limit", f"What a tenant's hard limit holds. {units}, a minute's or a day's.", each("amount"))
    text = f"What all replicas may still use of it now, as this one last heard. {units}."
    yield from gauge_lines("sluice_tenant_limit_remaining", text, each("remaining"))
    text = f"Of it granted to this process and not used. {units}."
    yield from gauge_lines("sluice_tenant_limit_at_hand", text, each("at_hand"))
    unnamed = [({"tenant": OTHER, "scope": OTHER, "kind": kind}, float(n)) for kind, n in others.items() if n > 0]
    for name, text, samples in (
        ("sluice_tenant_limit_used_total", f"Used of it through this process. {units}.", list(each("used"))),
        ("sluice_tenant_limit_refusals_total", "Requests that it refused, or sent to another model.", [*each("refused"), *unnamed]),
    ):
        if samples:
            yield from head(name, "counter", text)
            yield from (f"{name}{{{label_text(labels.items())}}} {number(value or 0.0)}" for labels, value in samples)


def _worker_lines(worker: Mapping[str, Any], board_hash: str | None) -> Iterator[str]:
    """Yield configuration, store and decision log of this process."""
    config, store, log = (worker.get(name) or {} for name in ("config", "store", "decision_log"))
    yield from gauge_lines("sluice_config_generation", "Configuration version in force.", [({}, config.get("generation"))])
    if "errors" in config:
        yield from gauge_lines(
            "sluice_config_errors", "Errors of the last edit, which was not taken.", [({}, float(len(config["errors"])))]
        )
    if board_hash is not None and "price_hash" in config:
        differs = float(config["price_hash"] != board_hash)
        yield from gauge_lines("sluice_config_mismatch", "1 when prices were made under another configuration.", [({}, differs)])
    if "mode" in config:
        yield from gauge_lines("sluice_enforcing", "1 in mode enforce, 0 in observe.", [({}, float(config["mode"] == "enforce"))])
    fallbacks = [({"route": route}, float(trouble is not None)) for route, trouble in (worker.get("routers") or {}).items()]
    yield from gauge_lines("sluice_router_fallback", "1 while the declared share answers for a route's router.", fallbacks)
    away = None if "is_away" not in store else float(store["is_away"])
    yield from gauge_lines("sluice_store_away", "1 while the store does not answer.", [({}, away)])
    yield from gauge_lines("sluice_store_fill_ratio", "Share of the store's memory in use.", [({}, store.get("fill"))])
    fleet = worker.get("fleet") or {}
    yield from gauge_lines("sluice_replicas", "Live replicas on the store, as last heard.", [({}, fleet.get("replicas"))])
    yield from gauge_lines("sluice_replicas_behind", "Of these, with an older configuration than the newest.", [({}, fleet.get("behind"))])
    offset_s = store.get("clock_offset_s")
    yield from gauge_lines("sluice_store_clock_offset_seconds", "The store's clock less this machine's.", [({}, offset_s)])
    yield from gauge_lines("sluice_store_pending_batches", "Batches not yet acknowledged.", [({}, store.get("pending_batches"))])
    for name, value, text in (
        ("sluice_store_rollbacks_total", store.get("rollbacks"), "Times the store came back with less than it had acknowledged."),
        ("sluice_store_lost_batches_total", store.get("lost_batches"), "Batches lost by the store and too old to be sent again."),
        ("sluice_store_mismatches_total", store.get("mismatches"), "Times that slots of 10 s and of 5 min told different totals."),
        ("sluice_decision_log_written_total", log.get("written"), "Lines written to the decision log."),
        ("sluice_decision_log_dropped_total", log.get("dropped"), "Decisions that the log lost: its disk did not keep up."),
        ("sluice_decision_log_errors_total", log.get("errors"), "Failed writes of the decision log."),
    ):
        if value is not None:
            yield from (*head(name, "counter", text), f"{name} {number(value)}")


def _limit_labels(limit: Mapping[str, Any]) -> dict[str, str]:
    labels = {"tenant": str(limit["tenant"]), "scope": str(limit["scope"]), "kind": str(limit["kind"])}
    if limit["scope"] == "model":
        labels["model"] = str(limit["of"])
    return labels


def _slo_labels(budget: Mapping[str, Any]) -> dict[str, str]:
    labels = {"slo": str(budget.get("slo")), "kind": str(budget.get("kind"))}
    if budget.get("route"):
        labels["route"] = str(budget["route"])
    return labels
