"""Units that operators write: the marker travels with the type, the config edge reads it.

A field annotated `Seconds` holds a float of seconds; in YAML it is a duration with a unit (`800ms`, `2s`, `28d`).
"""

from dataclasses import dataclass
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Unit:
    """How the config edge reads a number: duration, ratio (0..1), usd, bytes or count."""

    kind: str


Seconds = Annotated[float, Unit("duration")]
Ratio = Annotated[float, Unit("ratio")]
Usd = Annotated[float, Unit("usd")]
ByteCount = Annotated[int, Unit("bytes")]
Count = Annotated[int, Unit("count")]
