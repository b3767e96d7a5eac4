"""Faults that respond with another status."""

from brokenreg.faults.catalogue.status.errors import Error, HeadDiffers, NotFound, Status
from brokenreg.faults.catalogue.status.rate_limit import RateLimit
from brokenreg.faults.catalogue.status.read_after_write import ReadAfterWrite

__all__ = ["Error", "HeadDiffers", "NotFound", "RateLimit", "ReadAfterWrite", "Status"]
