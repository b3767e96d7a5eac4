"""Faults that change the body of a response."""

from brokenreg.faults.catalogue.body.content import Corrupt, Swap, Truncate, WrongLength
from brokenreg.faults.catalogue.body.encoding import Encode
from brokenreg.faults.catalogue.body.negotiation import Negotiate
from brokenreg.faults.catalogue.body.replacement import Body

__all__ = ["Body", "Corrupt", "Encode", "Negotiate", "Swap", "Truncate", "WrongLength"]
