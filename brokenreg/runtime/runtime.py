"""The view of a running brokenreg that the control API and the panel use."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from brokenreg.config.settings import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.fleet.control_calls import ControlCalls
from brokenreg.gate.gate import Gate
from brokenreg.images.images import Images
from brokenreg.proxy.proxy import Proxy
from brokenreg.rules.rule_books import RuleBooks
from brokenreg.runtime.shared_rules import SharedRules
from brokenreg.runtime.status import Status
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog

ALL_NAMESPACES = "*"
"""Stands for all namespaces."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """The parts of a running brokenreg. Use `operations` to change them.

    `status()` returns the current status. `stopping` is set when the server is about to stop. `diagnostics`
    holds the newest lines of the server's own log. `shared_rules` makes rules and breakpoints those of a
    fleet, and `replicas` passes requests on to its other replicas; both are None without one.
    """

    settings: Settings
    log: TrafficLog
    gate: Gate
    rules: RuleBooks
    store: Store
    images: Images
    proxy: Proxy
    trap: CredentialTrap
    diagnostics: Diagnostics
    status: Callable[[], Status]
    stopping: asyncio.Event
    shared_rules: SharedRules | None = None
    replicas: ControlCalls | None = None

    @property
    def registry_urls(self) -> Sequence[str]:
        """Return the URLs at which the registry listens."""
        return self.status().registry
