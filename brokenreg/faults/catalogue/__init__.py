"""The catalogue of all faults; each family has a module or folder of its own."""

from __future__ import annotations

from brokenreg.faults.catalogue.auth import Challenge, Token
from brokenreg.faults.catalogue.base import Fault
from brokenreg.faults.catalogue.body import Body, Corrupt, Encode, Negotiate, Swap, Truncate, WrongLength
from brokenreg.faults.catalogue.connection import Accept, EmptyReply, H2Goaway, H2Reset, Malformed, Reset
from brokenreg.faults.catalogue.control import Hold
from brokenreg.faults.catalogue.headers import ContentType, Header, NoDigest, Range
from brokenreg.faults.catalogue.listing import Referrers, TagPages
from brokenreg.faults.catalogue.redirect import Redirect
from brokenreg.faults.catalogue.status import Error, HeadDiffers, NotFound, RateLimit, ReadAfterWrite, Status
from brokenreg.faults.catalogue.timing import Drip, Latency, Stall, Throttle, Timeout
from brokenreg.faults.catalogue.tls import TLS
from brokenreg.faults.catalogue.upload import (
    MountRefused,
    Strict,
    TooLarge,
    UploadLocation,
    UploadLost,
    UploadRange,
)

_STATUS = (Error, Status, RateLimit, NotFound, HeadDiffers, ReadAfterWrite)
_TIMING = (Timeout, Latency, Stall, Throttle, Drip)
_BODY = (Truncate, Corrupt, Swap, WrongLength, Body, Encode, Negotiate)
_HEADERS = (Header, ContentType, NoDigest, Range)
_CONNECTION = (Accept, Reset, EmptyReply, Malformed, H2Reset, H2Goaway)
_REDIRECT = (Redirect,)
_TLS = (TLS,)
_AUTH = (Challenge, Token)
_UPLOAD = (UploadLost, UploadLocation, UploadRange, MountRefused, TooLarge, Strict)
_LISTING = (TagPages, Referrers)
_CONTROL = (Hold,)

CATALOGUE: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        *_STATUS,
        *_TIMING,
        *_BODY,
        *_HEADERS,
        *_CONNECTION,
        *_REDIRECT,
        *_TLS,
        *_AUTH,
        *_UPLOAD,
        *_LISTING,
        *_CONTROL,
    )
}
"""All faults by name, in the order of the families."""

__all__ = ["CATALOGUE", "Fault"]
