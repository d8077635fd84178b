"""Lua scripts of the store, run by their digest, or by their text where the server does not know it.

The digest is forgotten at every restart and failover; `SCRIPT LOAD` may be forbidden on managed servers, and so may be
`EVALSHA`. `EVAL` with the text does both: it runs the script and makes it known, so that is the whole fallback.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, NoScriptError, ResponseError

FOLDER = Path(__file__).parent / "lua"


class Script:
    """One file of `lua/`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = (FOLDER / f"{name}.lua").read_text("utf-8")
        self._digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self._digest_is_blocked = False

    async def run(self, client: Redis, keys: Sequence[str], args: Sequence[str | int | float]) -> Any:
        """Run atomically on the server; all `keys` lie on one hash slot."""
        if not self._digest_is_blocked:
            try:
                return await client.evalsha(self._digest, len(keys), *keys, *args)
            except NoScriptError:
                pass
            except NoPermissionError:
                self._digest_is_blocked = True
            except ResponseError as exc:
                if "unknown command" not in str(exc).lower():
                    raise
                self._digest_is_blocked = True
        return await client.eval(self.text, len(keys), *keys, *args)
