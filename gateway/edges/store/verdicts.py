"""How a verdict on an earlier answer lies in the store: request id, tenant and the verdict, never a prompt."""

import json
from collections.abc import Mapping
from typing import Any

DAY_VERDICTS_MAX = 200_000
"""Per day; more are counted as refused, so that feedback cannot fill the store."""
KEPT_S = 35 * 86_400
VERDICT_BYTES_MAX = 2048


def named(request_id: str, tenant: str) -> str:
    """Return under which name a verdict lies: another tenant's word on a request must not take the place of the asker's."""
    return f"{request_id}:{tenant}"


def written(tenant: str, verdict: Mapping[str, Any]) -> str:
    """Return the JSON that is kept.

    Raises: ValueError when it is larger than `VERDICT_BYTES_MAX`.
    """
    text = json.dumps({"tenant": tenant, "verdict": dict(verdict)})
    if len(text) > VERDICT_BYTES_MAX:
        raise ValueError(f"a verdict may take {VERDICT_BYTES_MAX} bytes, this one takes {len(text)}")
    return text
