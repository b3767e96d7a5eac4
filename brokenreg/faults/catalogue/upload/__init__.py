"""Upload faults."""

from __future__ import annotations

from brokenreg.faults.catalogue.upload.refusals import MountRefused, TooLarge
from brokenreg.faults.catalogue.upload.sessions import UploadLocation, UploadLost, UploadRange
from brokenreg.faults.catalogue.upload.strictness import Strict

__all__ = ["MountRefused", "Strict", "TooLarge", "UploadLocation", "UploadLost", "UploadRange"]
