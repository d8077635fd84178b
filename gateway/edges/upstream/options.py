"""Four clocks towards every backend, and how often a failed attempt may be repeated."""

from dataclasses import dataclass

from gateway.domain.units import Count, Ratio, Seconds


@dataclass(frozen=True, slots=True)
class UpstreamOptions:
    """Section `upstream`."""

    connect_timeout: Seconds = 2.0
    """Until the connection stands."""
    ttft_timeout: Seconds = 60.0
    """From the request sent to the first content (streamed) or to the whole answer's head (not streamed)."""
    idle_timeout: Seconds = 60.0
    """Between two chunks of a stream; reasoning models can be silent for long."""
    total_timeout: Seconds = 600.0
    """For the whole request, all attempts included."""
    retry_share: Ratio = 0.1
    """Retries may add at most this share of extra attempts; a fallback to another backend or model is not a retry."""
    attempts_max: Count = 3
    """Attempts of one request, fallbacks included."""
    connections_max: Count = 512
    """Open connections to one backend."""
    probe_every: Seconds = 1.0
    """How often a backend's health is asked for (self-hosted engines always, hosted APIs never)."""
