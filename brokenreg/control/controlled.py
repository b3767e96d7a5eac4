"""What the control API speaks for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from brokenreg.control.status import Status
from brokenreg.faults.hold import Gate
from brokenreg.faults.rulebook import RuleBooks
from brokenreg.faults.trap import Trap
from brokenreg.storage import Store
from brokenreg.traffic.log import TrafficLog

ALL = "*"
"""In place of a namespace: every one."""


@dataclass(frozen=True, slots=True)
class Controlled:
    """A running brokenreg; `status` is asked anew each time, `stopping` is set when it is about to end."""

    log: TrafficLog
    gate: Gate
    rules: RuleBooks
    store: Store
    trap: Trap
    status: Callable[[], Status]
    stopping: asyncio.Event
