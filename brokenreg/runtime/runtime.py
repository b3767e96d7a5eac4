"""A running brokenreg, as those who show and steer it are given it: the control API and the panel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.config import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.gate.gate import Gate
from brokenreg.images.fabricator import Fabricator
from brokenreg.proxy.proxy import Proxy
from brokenreg.rules.rule_book import RuleBooks
from brokenreg.runtime.status import Status
from brokenreg.second_origin.credential_trap import CredentialTrap
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog

ALL_NAMESPACES = "*"
"""In place of a namespace: every one."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """What there is to see and to do; `status` is asked anew each time.

    `stopping` is set when it is about to end; `diagnostics` are the newest lines of the server's own log.
    """

    settings: Settings
    log: TrafficLog
    gate: Gate
    rules: RuleBooks
    store: Store
    images: Fabricator
    proxy: Proxy
    trap: CredentialTrap
    diagnostics: Diagnostics
    status: Callable[[], Status]
    stopping: asyncio.Event
