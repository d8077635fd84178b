"""What one config version built, and what a swap replaces in one assignment.

Requests in flight keep the Runtime that they began with; the State below it is shared by all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.config.load import Config
from gateway.core.assemble import Core
from gateway.core.dispatcher import Dispatcher
from gateway.core.tenants.directory import Directory
from gateway.domain.catalog import Catalog
from gateway.ports import Scorer


@dataclass(frozen=True, slots=True)
class Runtime:
    """One generation of the configuration, built."""

    generation: int
    config: Config
    core: Core
    directory: Directory
    scorers: Mapping[str, Scorer]
    """By route name, for routes with a choice."""
    troubles: Mapping[str, str]
    """Routes whose router artifact cannot be used, and why."""

    @property
    def catalog(self) -> Catalog:
        """What is on offer."""
        return self.config.catalog

    @property
    def dispatcher(self) -> Dispatcher:
        """The decisions of one request."""
        return self.core.dispatcher
