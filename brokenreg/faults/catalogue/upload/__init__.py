"""Upload faults."""

from __future__ import annotations

from brokenreg.faults.catalogue.upload.refusals import MountRefused, TooLarge
from brokenreg.faults.catalogue.upload.sessions import UploadLocation, UploadLost, UploadRange

__all__ = ["MountRefused", "TooLarge", "UploadLocation", "UploadLost", "UploadRange"]
