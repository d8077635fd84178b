"""What is left of every budget, and what may be spent per request from here on.

Theory. Each SLO has an account of bad and valid events (cost: dollars and settled requests) since its period began, or
over its rolling window. The *allowance* is what is left, divided by what is still to come:

    cost     rho = clip((B - spent) / (left + untold), max(0.2 B/N, mean cheapest cost), 5 B/N)      dollars per request
    ratio    A_d = clip((b (valid + to_come) - bad) / to_come, 0.2 b, 5 b)                bad events per event

so that a quiet morning is not wasted and a bad one is made up for, within a factor of five. A rolling window looks
`HORIZON` of its length ahead and counts what ages out by then. Source: `judge/README.md`; the clips are that page's. *Untold* requests
of a period are decided and not yet counted: those known to be in flight, and those of the telemetry's delay. They will spend what
the others may, or a period would end with their dollars above its budget. One that is lost with its process stays among them:
a hundred of a million are a hundredth of a percent.
How many requests are to come: the operator's forecast; else the learned hours of the week (`rhythm.py`); else the recent rate.
Accounts are summed from the slots when a period begins or this process takes over, and follow increments in between; what a
period counted before its first whole slot is remembered (`opening.py`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gateway.core.budget.counts import Counts
from gateway.core.budget.forecast import HORIZON_S, Forecast
from gateway.core.budget.opening import Opening
from gateway.core.budget.rhythm import Rhythm
from gateway.core.budget.slo import DAY_S, Slo
from gateway.domain.event import MILLI
from gateway.domain.value import Value

FLOOR, CEILING = 0.2, 5.0
HORIZON = 0.25
"""Part of a rolling window that an allowance plans for. Assumed, not measured: long enough to be calm, short enough to act."""
RHYTHM_EVERY_S = 3600.0
HOUR_S = 3600.0
ROLL_EVERY_S = 60.0
"""How often a rolling account is summed anew, to let old events age out, and one of verdicts, to put late ones where they belong."""


@dataclass(slots=True)
class Account:
    """Running totals of one SLO. For cost `bad` is dollars and `valid` settled requests."""

    starts_s: float = 0.0
    ends_s: float = 0.0
    summed_s: float = 0.0
    bad: float = 0.0
    valid: float = 0.0
    evidence: float = 0.0
    """How many events, or verdicts, that rests on."""
    arrived: float = 0.0
    settled: float = 0.0
    fleet: float = 0.0
    """Settled requests of all routes, of which this SLO's are a part."""
    ageing_bad: float = 0.0
    ageing_valid: float = 0.0
    predicted: float = 0.0
    scored: float = 0.0
    """Predicted bad answers, and of how many requests; only of quality."""
    ageing_predicted: float = 0.0
    ageing_scored: float = 0.0


class Judgement(Value, frozen=True):
    """One SLO at one tick; the law prices it, the board shows it."""

    slo: Slo
    bad: float
    valid: float
    fresh_bad: float
    fresh_valid: float
    allowance: float
    fair: float
    """The allowance at the start of an undisturbed period: B/N, or b."""
    remaining: float
    """Share of the whole period's (or of a filled window's) budget that is left; negative when overspent."""
    left: float
    """Requests still to come until the period (or horizon) ends."""
    arrived: float
    elapsed: float
    """Share of the period that has passed; 1 for a rolling window."""
    ends_s: float
    is_exhausted: bool
    is_short: bool
    """Even the cheapest model for everything that is to come would overspend."""
    to_come: float = 1.0
    """Valid events still to come."""
    length_s: float = DAY_S
    """Length of the period or rolling window."""
    has_data: bool = False
    """Whether enough was counted to say anything; a law has its own rules for little evidence."""
    evidence: float = 0.0
    """How many events, or verdicts, that rests on."""
    level: float | None = None
    """How busy it is against the learned hours of the week; None while those are not known, or where the operator forecast."""
    events: float = 1.0
    """Valid events of the whole period, or of a filled window: what `remaining` is a share of."""
    settled: float = 0.0
    """Requests settled so far, of this SLO's scope."""
    predicted: float = 0.0
    scored: float = 0.0
    fresh_predicted: float = 0.0
    fresh_scored: float = 0.0
    """Quality: predicted bad answers of the requests that were scored, and their number; of the account without what ages out, and new."""

    @property
    def projected(self) -> float | None:
        """Spend or bad events at the end of the period over the budget, if things go on as they went; None without data."""
        budget = _budget(self)
        if self.valid <= 0 or budget <= 0 or not self.has_data:
            return None
        return (self.bad + self.bad / self.valid * self.to_come) / budget


def _budget(j: Judgement) -> float:
    if j.slo.spec.kind == "cost":
        return float(j.slo.spec.options.usd)
    return j.slo.bad_ratio * (j.valid + j.to_come)


@dataclass(slots=True)
class Learned:
    """The rhythm of one scope's arrivals, and its level; None: not a week of history yet."""

    rhythm: Rhythm | None
    rhythm_s: float
    level: float = 1.0
    level_s: float = 0.0


@dataclass(slots=True)
class Ledger:
    """All accounts of one config version."""

    slos: Sequence[Slo]
    accounts: dict[str, Account] = field(default_factory=dict)
    _fresh: Mapping[str, int] = field(default_factory=dict)
    _learned: dict[str, Learned] = field(default_factory=dict)
    """By counter of arrivals."""
    openings: dict[str, Opening] = field(default_factory=dict)
    """Of periods that begin inside an hour, by SLO."""
    _forecasts: dict[str, Forecast] = field(default_factory=dict)
    """Of the present period, by SLO."""
    _unforeseen: frozenset[str] = frozenset()
    """Counters of arrivals that no operator foretold."""

    def __post_init__(self) -> None:
        self._unforeseen = frozenset(s.arrived_field for s in self.slos if not _is_forecast(s))

    def take(self, fresh: Mapping[str, int], counts: Counts, wall_s: float, *, is_first: bool) -> None:
        """Move all accounts to `wall_s`.

        Args:
            fresh: increments since the last call, by field.
            counts: all slots, `fresh` included.
            is_first: this process just took over, so `fresh` is everything there ever was.
        """
        self._fresh = {} if is_first else fresh
        for name in self._unforeseen:
            self._learn(name, counts, wall_s)
        for slo in self.slos:
            account = self.accounts.get(slo.id)
            if account is None:
                account = self.accounts[slo.id] = Account()
            is_rolling, starts_s, ends_s = slo.spec.period is None, account.starts_s, account.ends_s
            if is_rolling or not starts_s <= wall_s < ends_s:
                starts_s, ends_s = slo.bounds(wall_s)
            # A late verdict belongs to the period of its request, which only the slots tell.
            is_stale = (is_rolling or slo.evidence_field is not None) and not 0 <= wall_s - account.summed_s < ROLL_EVERY_S
            has_begun = not is_rolling and starts_s != account.starts_s
            if not is_rolling and starts_s % HOUR_S and slo.evidence_field is None:
                self._open(slo, counts, starts_s, wall_s)
            if is_first or is_stale or has_begun:
                self._sum(slo, account, counts, starts_s, ends_s, wall_s)
            else:
                account.bad += fresh.get(slo.bad_field, 0) / slo.bad_scale
                account.valid += fresh.get(slo.valid_field, 0) / slo.valid_scale
                account.evidence += fresh.get(slo.evidence_field or slo.valid_field, 0)
                account.arrived += fresh.get(slo.arrived_field, 0)
                account.settled += fresh.get(slo.settled_field, 0)
                account.fleet += fresh.get("n", 0)
                if slo.spec.kind == "quality":
                    account.scored += fresh.get(slo.scored_field, 0)
                    account.predicted += fresh.get(slo.lost_field, 0) / MILLI

    def judge(self, wall_s: float, rate: float, cheapest_usd: float, delay_s: float = 0.0) -> list[Judgement]:
        """Judge every SLO.

        Args:
            rate: recent requests per second over the whole fleet.
            cheapest_usd: mean dollars of a request answered by the cheapest model.
            delay_s: how old counts are when they are read here.
        """
        return [self._judge(slo, self.accounts[slo.id], wall_s, rate, cheapest_usd, delay_s) for slo in self.slos]

    def _learn(self, name: str, counts: Counts, wall_s: float) -> None:
        """Learn the hours of the week anew each hour, and their level each minute."""
        known = self._learned.get(name)
        if known is None or not 0 <= wall_s - known.rhythm_s < RHYTHM_EVERY_S:
            known = self._learned[name] = Learned(Rhythm.learned(counts, name, wall_s), wall_s)
        if known.rhythm is not None and not 0 <= wall_s - known.level_s < ROLL_EVERY_S:
            known.level, known.level_s = known.rhythm.level(counts, name, wall_s), wall_s

    def _ahead(self, slo: Slo, account: Account, wall_s: float, ahead_s: float, rate: float) -> tuple[float, float | None]:
        """Return the mean requests per second of what is planned for, and the level of the learned rhythm, if there is one."""
        learned = self._learned.get(slo.arrived_field) if self._learned and not _is_forecast(slo) else None
        if learned is not None and learned.rhythm is not None:
            return learned.level * learned.rhythm.between(wall_s, wall_s + ahead_s) / ahead_s, learned.level
        return rate * account.settled / account.fleet if account.fleet > 0 else rate, None

    def _open(self, slo: Slo, counts: Counts, starts_s: float, wall_s: float) -> None:
        """Remember what a period's first hour counted."""
        opening = self.openings.get(slo.id)
        if opening is None or opening.starts_s != starts_s:
            opening = self.openings[slo.id] = Opening.of(starts_s)
        opening.advance(_fields(slo), counts, wall_s)

    def _sum(self, slo: Slo, account: Account, counts: Counts, starts_s: float, ends_s: float, wall_s: float) -> None:
        # To the end of the hour. A slot's events may carry another replica's clock; and what is flushed while the slots are
        # read one after the other may be in the hour's and not in its finer ones: increments are told by hours, so would never tell it.
        until = (wall_s // HOUR_S + 1) * HOUR_S
        account.starts_s, account.ends_s, account.summed_s = starts_s, ends_s, wall_s
        opening = self.openings.get(slo.id)
        if opening is None or opening.starts_s != starts_s:  # Rolling, or from a whole hour on: the slots tell it all.
            opening = Opening.of(starts_s)
        account.bad = opening.total(slo.bad_field, counts, until) / slo.bad_scale
        account.valid = opening.total(slo.valid_field, counts, until) / slo.valid_scale
        account.evidence = opening.total(slo.evidence_field, counts, until) if slo.evidence_field is not None else account.valid
        account.arrived = opening.total(slo.arrived_field, counts, until)
        account.settled = opening.total(slo.settled_field, counts, until)
        account.fleet = opening.total("n", counts, until)
        if slo.spec.period is None:
            ages_out = starts_s + (slo.spec.window_s or 28 * DAY_S) * HORIZON
            account.ageing_bad = counts.total(slo.bad_field, starts_s, ages_out) / slo.bad_scale
            account.ageing_valid = counts.total(slo.valid_field, starts_s, ages_out) / slo.valid_scale
        if slo.spec.kind == "quality":
            account.scored = opening.total(slo.scored_field, counts, until)
            account.predicted = opening.total(slo.lost_field, counts, until) / MILLI
            if slo.spec.period is None:
                account.ageing_scored = counts.total(slo.scored_field, starts_s, ages_out)
                account.ageing_predicted = counts.total(slo.lost_field, starts_s, ages_out) / MILLI

    def _judge(self, slo: Slo, account: Account, wall_s: float, rate: float, cheapest_usd: float, delay_s: float) -> Judgement:
        length_s, elapsed_s = account.ends_s - account.starts_s, wall_s - account.starts_s
        ahead_s = length_s * HORIZON if slo.spec.period is None else max(account.ends_s - wall_s, HORIZON_S)
        rate, level = self._ahead(slo, account, wall_s, ahead_s, rate)
        untold = 0.0
        if slo.spec.period is None:
            left = max(rate * length_s * HORIZON, 1.0)
            total, elapsed = max(rate * length_s, 1.0), 1.0
        else:
            unseen = rate * min(delay_s, max(elapsed_s, 0.0))
            untold = max(account.arrived - account.settled, 0.0) + unseen
            forecast = self._forecasts.get(slo.id)
            if forecast is None or forecast.period_s != length_s:
                forecast = self._forecasts[slo.id] = Forecast.of(slo.spec.options, length_s)
            came = account.arrived + unseen
            left = forecast.left(elapsed_s, came, rate)
            total, elapsed = forecast.total(came, left), min(max(elapsed_s / length_s, 0.0), 1.0)
        fresh_bad = self._fresh.get(slo.bad_field, 0) / slo.bad_scale
        fresh_valid = self._fresh.get(slo.valid_field, 0) / slo.valid_scale
        bad, valid = account.bad - account.ageing_bad, account.valid - account.ageing_valid
        if slo.spec.kind == "cost":
            budget = float(slo.spec.options.usd)
            fair, to_come, events = budget / max(total, 1e-9), left + untold, total
            affordable = (budget - bad) / to_come
            allowance = _clip(affordable, max(FLOOR * fair, cheapest_usd), max(CEILING * fair, cheapest_usd))
            remaining, is_short = 1 - account.bad / budget, affordable < cheapest_usd
        else:
            fair, is_short = slo.bad_ratio, False
            to_come = max(left * account.valid / max(account.settled, 1.0), 1.0)
            allowance = _clip((fair * (valid + to_come) - bad) / to_come, FLOOR * fair, CEILING * fair)
            # Of the whole period's or a filled window's events: a young window would be used up by its first failure.
            events = account.valid + to_come if slo.spec.period is not None else max(account.valid, to_come / HORIZON)
            remaining = 1 - account.bad / (fair * events)
        scored, lost = (self._fresh.get(slo.scored_field, 0), self._fresh.get(slo.lost_field, 0)) if slo.spec.kind == "quality" else (0, 0)
        has_data = slo.spec.kind == "cost" or account.evidence >= slo.evidence_min
        return Judgement(
            slo, account.bad, account.valid, fresh_bad, fresh_valid, allowance, fair, remaining, left, account.arrived, elapsed,
            account.ends_s, remaining <= 0 and has_data, is_short, to_come, length_s, has_data, account.evidence, level, events,
            account.settled, account.predicted - account.ageing_predicted, account.scored - account.ageing_scored, lost / MILLI, scored,
        )  # fmt: skip


def _is_forecast(slo: Slo) -> bool:
    """Return whether the operator said how many requests will come."""
    return slo.spec.period is not None and getattr(slo.spec.options, "forecast_requests", None) is not None


def _clip(x: float, low: float, high: float) -> float:
    return min(max(x, low), high)


def _fields(slo: Slo) -> set[str]:
    """Return every counter that an account is summed from."""
    names = {slo.bad_field, slo.valid_field, slo.evidence_field or slo.valid_field, "n"}
    names |= {slo.arrived_field, slo.settled_field}
    return names | {slo.scored_field, slo.lost_field} if slo.spec.kind == "quality" else names
