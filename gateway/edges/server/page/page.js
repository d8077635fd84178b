// The page's script: reads /admin/events and draws. No framework, no inline style (the content policy forbids it);
// widths are set through the style object, which it allows. Everything that comes from outside goes through text nodes.
"use strict";

const STALE_AFTER_S = 5; // no event for so long: what is shown is old
const CLOCK_OFF_S = 5; // half a slot of counts
const BUDGETS_STALE_AFTER_S = 60; // then prices are frozen
const RETRY_S = [1, 2, 4, 8, 15];
const TRAIL_S = 15 * 60;
const MODES = { green: "good", thrifty: "warn", scarce: "warn", exhausted: "bad" };
const BREAKERS = { closed: ["good", "closed"], half_open: ["warn", "half open"], open: ["bad", "open"] };
const WHY = {
  score: "best score", soft_edge: "near tie, split by share", threshold: "fixed threshold", client_threshold: "client's threshold",
  probe: "probe of a sick model", pin: "pinned by operator", only: "only candidate", down: "other models down",
  observe: "observe mode", fallback: "fallback", unfit: "others do not fit",
};
// Alert thresholds of a 28-day window by long and short window (Site Reliability Workbook).
const FAST_BURN = { "5m": 13.44, "1h": 13.44, "30m": 5.6, "6h": 5.6, "2h": 2.8, "1d": 2.8, "3d": 0.9333 };

const $ = (id) => document.getElementById(id);
const trail = []; // {wall_s, alpha_ref, mode}
const rows = new Map(); // request id -> [row, detail row or null]
let last = null; // the last state
let lastEventAt = 0;
let retries = 0;

// -- building ---------------------------------------------------------------------------------------------------------

function el(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
  return node;
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function td(label, className, ...children) {
  const cell = el("td", className, el("div", "cell", ...children));
  if (label) cell.dataset.label = label;
  return cell;
}

function badge(text, tone) {
  return el("span", `badge ${tone || ""}`, text);
}

function percentWide(node, ratio) {
  node.style.width = `${100 * Math.min(1, Math.max(0, ratio))}%`;
  return node;
}

function percentFrom(node, ratio) {
  node.style.left = `calc(${100 * Math.min(1, Math.max(0, ratio))}% - 1px)`;
  return node;
}

// -- numbers ----------------------------------------------------------------------------------------------------------

const known = (x) => x !== null && x !== undefined;
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

function fixed(x, digits) {
  return known(x) ? x.toFixed(digits) : "–";
}

function percent(x, digits = 0) {
  return known(x) ? `${(100 * x).toFixed(digits).replace("-", "−")} %` : "–";
}

function digits3(x) {
  if (!known(x)) return "–";
  if (x === 0) return "0";
  if (Math.abs(x) >= 1000) return whole.format(x);
  return String(Number(x.toPrecision(3)));
}

function usd(x) {
  if (!known(x)) return "–";
  if (x === 0) return "$0";
  const size = Math.abs(x);
  if (size >= 1000) return `$${whole.format(x)}`;
  if (size >= 0.1) return `$${x.toFixed(2)}`;
  return `$${x.toFixed(Math.min(9, 1 - Math.floor(Math.log10(size)) + 1))}`;
}

function span(s) {
  if (!known(s)) return "–";
  if (s < 0) return "now";
  if (s < 1) return `${Math.round(1000 * s)} ms`;
  if (s < 60) return `${s < 10 ? s.toFixed(1) : Math.round(s)} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const at = (wall_s) => clock.format(new Date(1000 * wall_s));

// -- parts of the page ------------------------------------------------------------------------------------------------

function drawHead(state) {
  const board = state.board || {};
  const config = (state.worker || {}).config || {};
  const mode = board.mode || "";
  if ($("mode").textContent !== mode) {
    $("mode").textContent = mode;
    $("mode").className = `badge ${MODES[mode] || ""}`;
    document.title = mode ? `${mode} · Sluice` : "Sluice";
  }
  $("enforcing").textContent = config.mode || "";
  $("enforcing").className = `badge ${config.mode === "observe" ? "accent" : ""}`;
  $("enforcing").title = config.mode === "observe" ? "Decisions are computed and logged; the traffic is not changed" : "";
  $("law").textContent = board.law ? `law ${board.law}` : "";
}

function alertsOf(state) {
  const board = state.board || {};
  const local = state.local || {};
  const worker = state.worker || {};
  const found = [];
  const overrides = local.overrides || {};
  const pins = Array.isArray(overrides.pins) ? overrides.pins : Object.values(overrides.pins || {});
  for (const pin of pins) {
    const by = pin.by ? ` by ${pin.by}` : "";
    found.push(["bad", `Route ${pin.route} is pinned at threshold ${digits3(pin.threshold)}${by} for ${span(pin.until_wall_s - state.wall_s)} more.`]);
  }
  if (overrides.frozen_until_wall_s > state.wall_s) {
    const by = overrides.frozen_by ? ` by ${overrides.frozen_by}` : "";
    found.push(["bad", `Prices are frozen${by} for ${span(overrides.frozen_until_wall_s - state.wall_s)} more.`]);
  }
  if ((board.infeasible || []).length) found.push(["bad", `Cannot be met together with the budgets before it: ${board.infeasible.join(", ")}.`]);
  if ((board.exhausted || []).length) found.push(["bad", `Exhausted: ${board.exhausted.join(", ")}.`]);
  const errors = (worker.config || {}).errors || [];
  if (errors.length) found.push(["bad", `The last edit of the configuration was not taken: ${errors.length} error${errors.length > 1 ? "s" : ""} (below).`]);
  const store = worker.store || {};
  const fleet = worker.fleet || {};
  const meanwhile = known(local.alone_since_wall_s) ? `, each replica prices by its own counts times ${fleet.replicas}` : " with frozen prices";
  if (store.is_away) found.push(["warn", `The store is away${store.last_error ? ` (${store.last_error})` : ""}. Requests go on${meanwhile}.`]);
  if (fleet.generation < fleet.newest)
    found.push(["warn", `Another replica runs a newer configuration (generation ${fleet.newest}, here ${fleet.generation}); it makes the prices.`]);
  else if (fleet.behind) found.push(["warn", `${fleet.behind} of ${fleet.replicas} replicas run an older configuration; the newest makes the prices.`]);
  if (Math.abs(store.clock_offset_s || 0) > CLOCK_OFF_S)
    found.push(["warn", `This machine's clock and the store's differ by ${span(Math.abs(store.clock_offset_s))}; set one of them right.`]);
  if (store.mismatches) found.push(["bad", `The store lost counts: ${store.last_mismatch}`]);
  if (known(store.schema_before)) found.push(["warn", `The store holds counts of an older layout (${store.schema_before}) that this build does not read.`]);
  const age = budgetAge(state);
  if (!store.is_away && age > BUDGETS_STALE_AFTER_S) found.push(["warn", `The budget state is ${span(age)} old; prices are frozen.`]);
  if (board.config_hash && (worker.config || {}).price_hash && board.config_hash !== worker.config.price_hash)
    found.push(["warn", "The published prices were made under another configuration."]);
  for (const [route, trouble] of Object.entries(worker.routers || {}))
    if (trouble) found.push(["warn", `Route ${route} is not scored, its declared share answers: ${trouble}`]);
  for (const [duty, trouble] of Object.entries(worker.duties || {}))
    if (trouble && !store.is_away) found.push(["warn", `Background work "${duty}" fails: ${trouble}`]);
  const log = worker.decision_log || {};
  if (log.last_error) found.push(["warn", `The decision log cannot be written: ${log.last_error} (${whole.format(log.dropped || 0)} lost).`]);
  return found;
}

function drawAlerts(state) {
  const found = alertsOf(state);
  const text = JSON.stringify(found);
  if ($("alerts").dataset.shown === text) return; // a screen reader should not hear it every second
  $("alerts").dataset.shown = text;
  $("alerts").replaceChildren(...found.map(([tone, message]) => el("p", tone, message)));
}

function budgetAge(state) {
  const made = (state.board || {}).made_wall_s;
  return known(made) ? Math.max(0, state.wall_s - made) : null;
}

function drawBudgets(state) {
  const board = state.board || {};
  const budgets = board.budgets || [];
  const lines = budgets.map((b) => el("tr", "", ...budgetCells(b, board, state)));
  $("budgets").replaceChildren(...(lines.length ? lines : [emptyRow(5, "No budget state yet.")]));
}

function budgetCells(b, board, state) {
  const reserved_usd = b.route ? null : (state.local || {}).reserved_usd;
  const isCost = b.kind === "cost";
  const isInfeasible = (board.infeasible || []).includes(b.slo);
  const isExhausted = (board.exhausted || []).includes(b.slo);
  const target = isCost ? `${usd(b.budget_usd)} of spend` : `${percent(b.objective, 3).replace(/\.?0+ %/, " %")} ${b.kind}`;
  const name = td("", "", el("span", "strong", b.slo), isInfeasible && badge("cannot be met", "bad"), isExhausted && badge("exhausted", "bad"), b.alert && badge(b.alert === "page" ? "burns fast" : "burns", b.alert === "page" ? "bad" : "warn"),
    el("div", "quiet small", b.route ? `${target}, route ${b.route}` : target));

  const left = b.remaining;
  const pace = isCost && known(b.elapsed) ? 1 - b.elapsed : null;
  const tone = !known(left) ? "" : left <= 0 ? "bad" : left < 0.25 || (known(pace) && left < pace - 0.1) ? "warn" : "";
  const bar = el("div", "bar", percentWide(el("i", tone), known(left) ? left : 0));
  if (known(pace)) bar.append(percentFrom(el("b"), pace));
  const counted = isCost
    ? `${usd(b.spent_usd)} spent${b.estimated_usd > 0 ? ` (${usd(b.estimated_usd)} estimated)` : ""}${reserved_usd ? `, ${usd(reserved_usd)} in flight` : ""}`
    : b.valid ? `${digits3(b.bad)} bad of ${whole.format(b.valid)}` : "no data";
  const remaining = td("Remaining", "", el("span", `strong ${tone ? `is-${tone}` : ""}`, percent(left, Math.abs(left) < 0.1 ? 1 : 0)), bar, el("div", "quiet small", counted));

  const burns = Object.entries(b.burn || {}).map(([window, burn]) => {
    const tone = !known(burn) ? "quiet" : burn > (isCost ? 1.5 : FAST_BURN[window] || 1) ? "is-bad" : burn > 1.05 ? "is-warn" : "";
    return el("span", tone, el("small", "", window), known(burn) ? `${digits3(Math.round(burn * 100) / 100)}×` : "–");
  });
  const burn = td("Burn rate", "", burns.length ? el("div", "burns", ...burns) : "–");

  const forecast = td("Forecast", "small", ...forecastLines(b, state.wall_s));
  const unit = isCost ? "per allowance" : "per bad event";
  const price = td("Price", "n", el("span", "strong", digits3(b.price)), el("div", "quiet small", unit),
    isCost && known(b.allowance) ? el("div", "quiet small", `${usd(b.allowance)} a request`) : null);
  return [name, remaining, burn, forecast, price];
}

function forecastLines(b, wall_s) {
  const lines = [];
  const isPeriod = known(b.period_ends_wall_s);
  if (known(b.projected)) {
    const tone = b.projected > 1.05 ? "is-bad" : "";
    lines.push(el("div", tone, `${percent(b.projected)} of it used ${isPeriod ? "at the period's end" : "if this goes on"}`));
  }
  const isBeforeEnd = known(b.exhausts_wall_s) && !(isPeriod && b.exhausts_wall_s >= b.period_ends_wall_s);
  if (isBeforeEnd) lines.push(el("div", "is-bad", b.exhausts_wall_s <= wall_s ? "ran out" : `runs out in ${span(b.exhausts_wall_s - wall_s)}`));
  if (isPeriod && known(b.forecast_requests_left)) lines.push(el("div", "quiet", `${whole.format(b.forecast_requests_left)} requests to come`));
  if (known(b.forecast_level)) lines.push(el("div", "quiet", `${percent(b.forecast_level)} of the usual traffic for this hour`));
  if (known(b.predicted)) lines.push(el("div", "quiet", `router expects ${percent(b.predicted, 1)} bad`));
  if (isPeriod) lines.push(el("div", "quiet", `period ends in ${span(b.period_ends_wall_s - wall_s)}`));
  return lines.length ? lines : [el("div", "quiet", "no data")];
}

function drawAlphas(state) {
  const alphas = Object.entries((state.board || {}).alpha_ref || {});
  const pinned = (state.local || {}).overrides || {};
  const pins = Array.isArray(pinned.pins) ? pinned.pins : Object.values(pinned.pins || {});
  const parts = alphas.map(([route, alpha]) => {
    const pin = pins.find((p) => p.route === route);
    const head = el("div", "", el("div", "name", route), el("div", "figure", fixed(alpha, 2)), pin ? badge(`pinned ${digits3(pin.threshold)}`, "bad") : null);
    const plot = el("div", "plot", sparkline(route, state.wall_s), el("span", "", "1"), el("span", "", "0"));
    return el("div", "alpha", head, plot, el("div", "axis", el("span", "", "15 min ago"), el("span", "", "now")));
  });
  $("alphas").replaceChildren(...(parts.length ? parts : [el("p", "quiet", "No threshold published yet.")]));
}

function sparkline(route, wall_s) {
  const width = 300;
  const height = 76;
  const y = (alpha) => 3 + (1 - Math.min(1, Math.max(0, alpha))) * (height - 6);
  const points = trail
    .filter((p) => known((p.alpha_ref || {})[route]) && p.wall_s > wall_s - TRAIL_S)
    .map((p) => [width * (1 - (wall_s - p.wall_s) / TRAIL_S), y(p.alpha_ref[route])]);
  const values = trail.map((p) => (p.alpha_ref || {})[route]).filter(known);
  const label = values.length ? `Threshold of ${route}, last 15 minutes: from ${fixed(Math.min(...values), 2)} to ${fixed(Math.max(...values), 2)}` : `Threshold of ${route}`;
  const picture = svg("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": label });
  if (points.length) {
    const line = points.map(([px, py]) => `${px.toFixed(1)},${py.toFixed(1)}`).join(" L");
    picture.append(svg("path", { class: "under", d: `M${points[0][0].toFixed(1)},${height} L${line} L${points.at(-1)[0].toFixed(1)},${height} Z` }));
    for (const ratio of [0, 0.5, 1]) picture.append(svg("line", { class: "grid", x1: 0, x2: width, y1: y(ratio), y2: y(ratio) }));
    picture.append(svg("path", { class: "path", d: `M${line}` }));
  }
  return picture;
}

function drawTraffic(state) {
  const traffic = (state.board || {}).traffic || {};
  const models = Object.entries(traffic.models || {});
  const rate = (state.board || {}).request_rate;
  $("rate").textContent = known(rate) ? `${digits3(rate)} requests a second${known(traffic.window_s) ? `; below: last ${span(traffic.window_s).replace(/ 0 min$/, "")}` : ""}` : "";
  if (!models.length) {
    $("split").replaceChildren(el("p", "quiet", "No traffic yet."));
    return;
  }
  const order = models.map(([name]) => name);
  const parts = [];
  const routes = Object.entries(traffic.routes || {});
  const shares = routes.length ? routes : [["", Object.fromEntries(models.map(([name, m]) => [name, m.requests]))]];
  for (const [route, counts] of shares) {
    const total = Object.values(counts).reduce((a, b) => a + b, 0) || 1;
    const texts = Object.entries(counts).map(([name, n]) => `${name} ${percent(n / total)}`);
    const bar = el("div", "split");
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", `${route ? `${route}: ` : ""}${texts.join(", ")}`);
    for (const [name, n] of Object.entries(counts)) {
      const piece = percentWide(el("i", `s${Math.min(4, Math.max(0, order.indexOf(name)))}`), n / total);
      piece.title = `${name}: ${whole.format(n)} requests, ${percent(n / total)}`;
      bar.append(piece);
    }
    parts.push(el("div", "route", route ? el("div", "name", `${route}: ${texts.join(", ")}`) : null, bar));
  }
  const lines = models.map(([name, m], i) =>
    el("tr", "", el("td", "", el("i", `key s${Math.min(4, i)}`), name), el("td", "n", percent(m.share)), el("td", "n", whole.format(m.requests || 0)), el("td", "n", usd(m.usd))));
  const heads = ["Model", "Share", "Requests", "Spend"].map((text, i) => {
    const th = el("th", i ? "n" : "", text);
    th.scope = "col";
    return th;
  });
  parts.push(el("table", "", el("thead", "", el("tr", "", ...heads)), el("tbody", "", ...lines)));
  const classes = Object.entries(traffic.classes || {}).map(([name, n]) => `${name} ${whole.format(n)}`);
  if (classes.length) parts.push(el("p", "note", `By class: ${classes.join(", ")}`));
  $("split").replaceChildren(...parts);
}

function drawBackends(state) {
  const local = state.local || {};
  const waiting = (local.queue || {}).waiting;
  $("queue").textContent = known(waiting) ? `${whole.format(waiting)} waiting` : "";
  const lines = (local.backends || []).map((b) => {
    const [tone, text] = BREAKERS[b.breaker] || ["", b.breaker || "–"];
    return el("tr", "", td("", "strong", b.id), td("Model", "", b.model), td("Breaker", "", badge(text, tone)),
      td("Success", `n ${b.success < 0.9 ? "is-bad" : ""}`, percent(b.success, 1)), td("In flight", "n", whole.format(b.in_flight || 0)),
      td("Pending tokens", "n", whole.format(b.pending_tokens || 0)), td("TTFT", "n", span(b.ttft_s)));
  });
  $("backends").replaceChildren(...(lines.length ? lines : [emptyRow(7, "No backend.")]));
}

function drawLimits(state) {
  const tenants = (state.local || {}).tenants || {};
  const limits = tenants.limits || [];
  $("limits-card").hidden = !limits.length;
  $("limits-count").textContent = tenants.known > limits.length ? `${limits.length} of ${whole.format(tenants.known)}` : "";
  $("limits").replaceChildren(...limits.map((l) => {
    const ratio = l.amount > 0 ? l.remaining / l.amount : 0;
    const tone = ratio <= 0.02 ? "bad" : ratio < 0.2 ? "warn" : "";
    const amount = l.kind === "usd" ? usd : (x) => whole.format(Math.floor(x));
    const key = l.scope === "key" ? el("div", "quiet small", "key ", el("code", "", `${l.of.slice(0, 8)}…`)) : null;
    return el("tr", "", td("", "strong", l.tenant), td("Limit", "", l.said, key),
      td("Left", "", el("div", "bar", percentWide(el("i", tone), ratio)), `${amount(l.remaining)}, ${percent(ratio)}`, l.is_share ? badge("own share, store away", "warn") : null),
      td("Whole again in", "n", ratio >= 1 ? "–" : span(l.whole_s)), td("At hand here", "n", amount(l.at_hand)), td("Used here", "n", amount(l.used)),
      td("Refused here", `n ${l.refused ? "is-bad" : ""}`, whole.format(l.refused)));
  }));
}

function drawReasons(state) {
  const traffic = (state.board || {}).traffic || {};
  const sheds = traffic.sheds || {};
  const reasons = traffic.reasons || {};
  $("reasons-window").textContent = known(traffic.window_s) ? `last ${span(traffic.window_s).replace(/ 0 min$/, "")}` : "";
  const lines = Object.entries(reasons).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1]).map(([reason, n]) => {
    const isOurs = reason.startsWith("shed_") || reason.startsWith("limit_");
    const classes = Object.entries(sheds).filter(([name, m]) => m > 0 && name.startsWith(`${reason}.`)).map(([name, m]) => `${name.slice(reason.length + 1)} ${whole.format(m)}`);
    return el("tr", "", el("td", "", el("code", "", reason), isOurs && badge("refused by us", "warn"), classes.length ? el("div", "quiet small", classes.join(", ")) : null), el("td", "n", whole.format(n)));
  });
  $("reasons").replaceChildren(...(lines.length ? lines : [emptyRow(2, "No request yet.")]));
}

function drawInside(state) {
  const worker = state.worker || {};
  const config = worker.config || {};
  const store = worker.store || {};
  const local = state.local || {};
  const log = worker.decision_log || {};
  const errors = config.errors || [];
  const pairs = [];
  const pair = (name, ...value) => pairs.push(el("dt", "", name), el("dd", "", ...value));
  pair("Configuration", known(config.generation) ? `generation ${config.generation}` : "–", config.hash ? el("span", "quiet", ` ${String(config.hash).slice(0, 12)}`) : null,
    errors.length ? el("ul", "plain is-bad", ...errors.map((e) => el("li", "", el("code", "", String(e))))) : null);
  pair("Store", store.is_away ? badge("away", "warn") : known(store.is_away) ? badge("connected", "good") : "–",
    known(store.fill) ? el("span", "quiet", ` ${percent(store.fill, 1)} full`) : null,
    store.pending_batches ? el("span", "quiet", `, ${store.pending_batches} batches to write`) : null,
    store.lost_batches ? el("span", "is-bad", `, ${store.lost_batches} batches lost`) : null);
  pair("Budget state", known(budgetAge(state)) ? `${span(budgetAge(state))} old` : "none yet");
  pair("Prices", known(local.prices_version) ? `version ${local.prices_version}` : "none yet", known(local.prices_age_s) ? el("span", "quiet", `, ${span(local.prices_age_s)} old`) : null);
  if (log.path) pair("Decision log", `${whole.format(log.written || 0)} lines`, log.dropped ? el("span", "is-bad", `, ${whole.format(log.dropped)} lost`) : null);
  $("inside").replaceChildren(...pairs);
}

// -- decisions: rows are kept by request id, so that an open one stays open and keeps the focus -------------------------

function drawDecisions(state) {
  const lines = ((state.worker || {}).decisions || []).filter((d) => d.kind !== "prices");
  const body = $("decisions");
  const ids = new Set(lines.map((d) => d.request_id));
  for (const [id, pair] of rows) {
    if (ids.has(id)) continue;
    pair.forEach((row) => row && row.remove());
    rows.delete(id);
  }
  for (const d of [...lines].reverse()) {
    if (rows.has(d.request_id)) continue;
    const row = decisionRow(d);
    rows.set(d.request_id, [row, null]);
    body.prepend(row);
  }
  $("no-decisions").hidden = lines.length > 0;
}

function decisionRow(d) {
  const isAsChosen = d.model === d.choice || !d.model;
  const model = isAsChosen ? [d.choice || "–"] : [d.model, el("span", "quiet", ` (chosen ${d.choice})`)];
  const isServed = d.reason === "served";
  const more = el("button", "more", "scores");
  more.type = "button";
  more.title = scoresText(d);
  more.setAttribute("aria-expanded", "false");
  more.setAttribute("aria-label", `Scores of ${d.request_id}`);
  const row = el("tr", "", td("Time", "quiet", at(d.wall_s)), td("Route", "", d.route, el("span", "quiet", ` ${d.class}`)), td("Model", "strong", ...model),
    td("Why", "", WHY[d.why] || d.why || "refused"), td("Win rate, α", "", ...winRate(d)), td("Ended", isServed ? "" : "is-bad", d.reason || "–"),
    td("TTFT", "n", span(d.ttft_s)), td("Cost", "n", usd(d.usd)), el("td", "n", more));
  more.addEventListener("click", () => toggle(d, row, more));
  return row;
}

function winRate(d) {
  if (!known(d.win_rate)) return [el("span", "quiet", "not scored")];
  const isOver = known(d.threshold) && d.win_rate >= d.threshold;
  const gauge = el("span", "gauge", percentWide(el("i", isOver ? "over" : ""), d.win_rate));
  if (known(d.threshold)) gauge.append(percentFrom(el("b"), d.threshold));
  const sign = known(d.threshold) ? `${isOver ? "≥" : "<"} ${fixed(d.threshold, 2)}` : "";
  return [gauge, fixed(d.win_rate, 2), el("span", "quiet", ` ${sign}`)];
}

function scoresText(d) {
  return (d.expectations || []).map((e, i) => `${e[0]}: ${digits3((d.scores || [])[i])}`).join("\n");
}

function toggle(d, row, button) {
  const pair = rows.get(d.request_id);
  if (!pair) return;
  const isOpen = pair[1] !== null;
  if (isOpen) pair[1].remove();
  pair[1] = isOpen ? null : detailRow(d);
  if (!isOpen) row.after(pair[1]);
  row.classList.toggle("is-open", !isOpen);
  button.setAttribute("aria-expanded", String(!isOpen));
}

function detailRow(d) {
  const heads = ["Candidate", "Score", "Quality", "Success", "Late", "Cost"].map((text, i) => {
    const th = el("th", i ? "n" : "", text);
    th.scope = "col";
    return th;
  });
  const lines = (d.expectations || []).map(([model, quality, success, late, cost], i) =>
    el("tr", "", el("td", model === d.choice ? "strong" : "", model, d.usable && !d.usable[i] ? badge("down", "bad") : null), el("td", "n strong", digits3((d.scores || [])[i])),
      el("td", "n", fixed(quality, 3)), el("td", "n", percent(success, 1)), el("td", "n", percent(late, 1)), el("td", "n", usd(cost))));
  const facts = [`request ${d.request_id}`, `prices ${d.prices_version}`, d.backend && `backend ${d.backend}`, d.attempts > 1 && `${d.attempts} attempts`,
    known(d.total_s) && `${span(d.total_s)} in all`, `${whole.format(d.prompt_tokens || 0)} + ${whole.format(d.completion_tokens || 0)} tokens${d.estimated ? " (estimated)" : ""}`,
    known(d.margin) && `margin ${digits3(d.margin)}`].filter(Boolean);
  const cell = el("td", "", el("p", "small quiet", facts.join(" · ")), el("table", "", el("thead", "", el("tr", "", ...heads)), el("tbody", "", ...lines)));
  cell.colSpan = 9;
  return el("tr", "detail", cell);
}

function emptyRow(columns, text) {
  const cell = el("td", "quiet", text);
  cell.colSpan = columns;
  return el("tr", "", cell);
}

// -- the live connection ----------------------------------------------------------------------------------------------

function draw(state) {
  last = state;
  const parts = [drawHead, drawAlerts, drawBudgets, drawAlphas, drawTraffic, drawBackends, drawLimits, drawReasons, drawInside, drawDecisions];
  for (const part of parts) part(state);
  $("main").setAttribute("aria-busy", "false");
}

function note(point) {
  if (!known(point.alpha_ref)) return;
  trail.push(point);
  while (trail.length && trail[0].wall_s < point.wall_s - TRAIL_S) trail.shift();
}

function say(tone, text) {
  if ($("link-text").textContent !== text) $("link-text").textContent = text;
  $("link").className = `link ${tone}`;
  $("main").classList.toggle("old", tone === "gone" || (tone === "stale" && last !== null));
}

function connect() {
  const source = new EventSource("/admin/events");
  source.addEventListener("trail", (event) => {
    trail.length = 0;
    JSON.parse(event.data).forEach(note);
  });
  source.addEventListener("state", (event) => {
    const state = JSON.parse(event.data);
    lastEventAt = performance.now();
    retries = 0;
    note({ wall_s: state.wall_s, alpha_ref: (state.board || {}).alpha_ref });
    draw(state);
    say("live", "live");
  });
  source.onerror = () => {
    source.close(); // the browser gives up on an answer such as 401 or 503; we do not
    const wait_s = RETRY_S[Math.min(retries++, RETRY_S.length - 1)];
    say("gone", last ? `disconnected; showing ${at(last.wall_s)}` : "cannot connect; is the token still right?");
    setTimeout(connect, 1000 * wait_s);
  };
}

setInterval(() => {
  const silent_s = (performance.now() - lastEventAt) / 1000;
  if (last && $("link").classList.contains("live") && silent_s > STALE_AFTER_S) say("stale", `stale; showing ${at(last.wall_s)}`);
}, 1000);
connect();
