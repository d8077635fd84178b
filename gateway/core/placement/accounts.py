"""PlacementState: what is remembered of backends and models between requests; survives a config swap.

Keyed by names, never by objects of a config version. An attempt holds its account itself, so that one sent under the
old config ends correctly under the new one. Memory is bounded by `retain`, called when a config is put in force, and by
`ACCOUNTS_MAX` in any case.
"""

from collections.abc import Hashable, Iterable
from typing import TypeVar

from gateway.core.placement.breaker import HALF_OPEN, Breaker
from gateway.core.placement.health import Health
from gateway.core.placement.load import Entry, Load
from gateway.core.placement.ttft import Ttft
from gateway.domain.catalog import Backend, Model

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

ACCOUNTS_MAX = 4096
PRESUMED_FACTOR = 1.5
"""An answer that is not streamed is taken for prefilled after this many predicted first-token times."""


class Account:
    """What is known of one backend serving one model; load and speed are shared by all models of that backend."""

    __slots__ = ("breaker", "load", "ttft")

    def __init__(self, load: Load, ttft: Ttft) -> None:
        self.breaker, self.load, self.ttft = Breaker(), load, ttft


class Attempt(Entry):
    """One request on its way to one backend; made by `PlacementState.sent`, ended exactly once by whoever is first."""

    __slots__ = ("_is_judged", "account", "is_streaming", "requests", "sent_s", "tokens")

    def __init__(self, account: Account, prompt_tokens: int, tokens: float, requests: float, sent_s: float, is_streaming: bool) -> None:
        self.prompt_tokens, self.is_pending, self.is_over = prompt_tokens, True, False  # As Entry does: one call less per request.
        self.account, self.sent_s, self.is_streaming = account, sent_s, is_streaming
        self.tokens, self.requests = tokens, requests
        """Pending and own prompt tokens, and requests in the engine, when it was sent; 0 requests for a hosted API."""
        self._is_judged = False

    def first_token(self, now_s: float) -> None:
        """The first content came (for an answer that is not streamed: its head)."""
        account = self.account
        if self.is_over:
            return
        account.load.first_token(self)
        if self.is_streaming:
            account.ttft.observe(self.tokens, self.requests, now_s - self.sent_s, now_s)
        # A trial has proved its point now; waiting for the end of a long answer would only lengthen the recovery.
        # A closed breaker waits for the end: a backend that cuts every answer short must still be able to open it.
        if account.breaker.state is HALF_OPEN:
            account.breaker.succeeded(now_s, self.sent_s)
            self._is_judged = True

    def succeeded(self, now_s: float) -> None:
        """It ended well, or with an answer that was the client's fault."""
        if self._end() and not self._is_judged:
            self.account.breaker.succeeded(now_s, self.sent_s)

    def failed(self, now_s: float, unreachable: bool = False, counts: bool = True) -> None:
        """It failed by the backend's fault; `counts` False: the same request has failed on this backend before."""
        if self._end():
            if counts:
                self.account.breaker.failed(now_s, unreachable, self.sent_s)
            else:
                self.account.breaker.released(self.sent_s)

    def limited(self, until_s: float) -> None:
        """The backend asked to be left alone until then."""
        if self._end():
            self.account.breaker.limited(until_s)

    def released(self) -> None:
        """It ended without a verdict on the backend: the client left."""
        if self._end() and not self._is_judged:
            self.account.breaker.released(self.sent_s)

    def _end(self) -> bool:
        if self.is_over:
            return False
        self.account.load.ended(self)
        return True


class Standing:
    """What is known of one model of the configuration in force: its health, and each of its backends with its account."""

    __slots__ = ("backends", "health", "model")

    def __init__(self, model: Model, health: Health, backends: tuple[tuple[Backend, Account], ...]) -> None:
        self.model, self.health, self.backends = model, health, backends


class PlacementState:
    """Accounts by (backend id, model name), health by model name."""

    def __init__(self) -> None:
        self._standings: dict[str, Standing] = {}
        """Put together from the tables below, for as long as a model is asked for by the same object."""
        self._accounts: dict[tuple[str, str], Account] = {}
        self._backends: dict[str, tuple[Load, Ttft]] = {}
        self._healths: dict[str, Health] = {}

    def account(self, backend_id: str, model: str) -> Account:
        """Return the account of a backend for a model, a fresh one when it is not known."""
        account = self._accounts.get((backend_id, model))
        if account is None:
            shared = self._backends.get(backend_id)
            if shared is None:
                shared = self._backends[backend_id] = (Load(), Ttft())
                bound(self._backends)
            account = self._accounts[backend_id, model] = Account(*shared)
            if bound(self._accounts):
                self._standings = {}
        return account

    def standing(self, model: Model) -> Standing:
        """Return health and accounts of a model: one look-up on the way of every request."""
        known = self._standings.get(model.name)
        if known is None or known.model is not model:
            accounts = tuple([(b, self.account(b.id, model.name)) for b in model.backends])
            known = self._standings[model.name] = Standing(model, self.health(model.name), accounts)
            bound(self._standings)
        return known

    def health(self, model: str) -> Health:
        """Return a model's health, a healthy one when it is not known."""
        health = self._healths.get(model)
        if health is None:
            health = self._healths[model] = Health()
            if bound(self._healths):
                self._standings = {}
        return health

    def sent(self, model: Model, backend: Backend, prompt_tokens: int, now_s: float, is_streaming: bool = True) -> Attempt:
        """Reserve an attempt's prompt tokens on its backend."""
        account = self.account(backend.id, model.name)
        load = account.load
        pending, requests = (load.pending_tokens(now_s), load.requests(now_s)) if backend.is_self_hosted else (0.0, 0.0)
        presumed_s = None
        if not is_streaming:
            presumed_s = now_s + PRESUMED_FACTOR * account.ttft.predict(pending, prompt_tokens, requests, now_s)
        account.breaker.sent(now_s)
        attempt = Attempt(account, prompt_tokens, pending + prompt_tokens, requests, now_s, is_streaming)
        load.sent(attempt, presumed_s)
        return attempt

    def probed(self, backend_id: str, model: str, ok: bool, now_s: float) -> None:
        """Take in one health probe of a backend."""
        self.account(backend_id, model).breaker.probed(ok, now_s)

    def scraped(self, backend_id: str, model: str, waiting: float, running: float, now_s: float) -> None:
        """Take in one scrape of an engine's waiting and running requests."""
        self.account(backend_id, model).load.scraped(waiting, running, now_s)

    def retain(self, models: Iterable[Model]) -> None:
        """Forget what is not on offer any more; attempts in flight keep their own accounts."""
        keys = {(b.id, m.name) for m in models for b in m.backends}
        ids, names = {i for i, _ in keys}, {n for _, n in keys}
        self._standings = {}
        self._accounts = {k: a for k, a in self._accounts.items() if k in keys}
        self._backends = {i: s for i, s in self._backends.items() if i in ids}
        self._healths = {n: h for n, h in self._healths.items() if n in names}


def bound(table: dict[K, V]) -> bool:
    """Drop the oldest entry of a table that has outgrown `ACCOUNTS_MAX`; return whether it had."""
    if len(table) <= ACCOUNTS_MAX:
        return False
    del table[next(iter(table))]
    return True
