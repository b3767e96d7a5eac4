"""The control API, on its own listener."""

from brokenreg.control.app import Control, Status

__all__ = ["Control", "Status"]
