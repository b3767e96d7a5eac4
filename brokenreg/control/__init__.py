"""The control API, on its own listener."""

from brokenreg.control.app import Control
from brokenreg.control.controlled import Controlled
from brokenreg.control.status import Status

__all__ = ["Control", "Controlled", "Status"]
