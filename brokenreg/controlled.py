"""A running brokenreg, as those who show and steer it are given it: the control API and the panel."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.config import Settings
from brokenreg.diagnostics import Diagnostics
from brokenreg.faults.hold import Gate
from brokenreg.faults.rulebook import RuleBooks
from brokenreg.faults.trap import Trap
from brokenreg.images.fabricator import Fabricator
from brokenreg.proxy.proxy import Proxy
from brokenreg.status import Status
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog

ALL = "*"
"""In place of a namespace: every one."""


@dataclass(frozen=True, slots=True)
class Controlled:
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
    trap: Trap
    diagnostics: Diagnostics
    status: Callable[[], Status]
    stopping: asyncio.Event
