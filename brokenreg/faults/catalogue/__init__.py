"""The list of all faults, one module per family. Whoever adds a class here has it at every door."""

from __future__ import annotations

from brokenreg.faults.catalogue.base import Fault, Strike
from brokenreg.faults.catalogue.status import Error
from brokenreg.faults.catalogue.timing import Timeout

CATALOGUE: dict[str, type[Fault]] = {fault.name: fault for fault in (Error, Timeout)}
"""Every fault by its name."""

__all__ = ["CATALOGUE", "Error", "Fault", "Strike", "Timeout"]
