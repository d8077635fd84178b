"""Burn rates: how many times faster than allowed a budget is being spent.

Source: Google SRE Workbook, "Alerting on SLOs". Windows are event-weighted (bad / valid over the window).
"""

from gateway.domain.reading import Reading

WINDOWS_S: dict[str, float] = {"5m": 300.0, "30m": 1800.0, "1h": 3600.0, "2h": 7200.0, "6h": 21_600.0, "1d": 86_400.0, "3d": 259_200.0}
LONG_WINDOWS_S: dict[str, float] = {"28d": 28 * 86_400.0, "30d": 30 * 86_400.0}
"""What monthly reports look at."""


def burn_rate(reading: Reading, bad_ratio: float) -> float | None:
    """Return bad share over allowed share; 1.0 spends the budget exactly at the window's end.

    Args:
        reading: events of one window.
        bad_ratio: 1 - objective, 0 < bad_ratio < 1.
    Returns: burn rate >= 0, or None when nothing was counted.
    """
    return None if reading.ratio is None else reading.ratio / bad_ratio


def spend_rate(usd: float, window_s: float, budget_usd: float, period_s: float) -> float:
    """Return dollars per second over the budget's dollars per second."""
    return (usd / window_s) / (budget_usd / period_s)
