"""The control API, on its own listener."""

from brokenreg.control.app import Control

__all__ = ["Control"]
