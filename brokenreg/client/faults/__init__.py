"""Typed constructors of all faults.

    from brokenreg.client import Client, faults

    with Client("127.0.0.1:8081") as control:
        control.add_rule({"fault": faults.error(status=503), "times": 2})

Sizes are bytes or text such as `"64KiB"`. Durations are seconds or text such as `"1m30s"`. A parameter that
is left out has its default value. The server checks the values: an invalid one raises `UsageError` when the
fault is sent.

`make reference` writes this package from the catalogue of the server.
"""

from brokenreg.client.faults._auth import challenge, token
from brokenreg.client.faults._body import body, corrupt, encode, negotiate, swap, truncate, wrong_length
from brokenreg.client.faults._connection import accept, empty_reply, h2_goaway, h2_reset, malformed, reset
from brokenreg.client.faults._control import hold
from brokenreg.client.faults._headers import content_type, header, no_digest, range
from brokenreg.client.faults._listing import referrers, tag_pages
from brokenreg.client.faults._redirect import redirect
from brokenreg.client.faults._status import (
    error,
    head_differs,
    not_found,
    rate_limit,
    read_after_write,
    status,
)
from brokenreg.client.faults._timing import drip, latency, stall, throttle, timeout
from brokenreg.client.faults._tls import tls
from brokenreg.client.faults._upload import (
    mount_refused,
    strict,
    too_large,
    upload_location,
    upload_lost,
    upload_range,
)
from brokenreg.client.faults.fault import ConnectFault, Fault

__all__ = (
    "ConnectFault",
    "Fault",
    "accept",
    "body",
    "challenge",
    "content_type",
    "corrupt",
    "drip",
    "empty_reply",
    "encode",
    "error",
    "h2_goaway",
    "h2_reset",
    "head_differs",
    "header",
    "hold",
    "latency",
    "malformed",
    "mount_refused",
    "negotiate",
    "no_digest",
    "not_found",
    "range",
    "rate_limit",
    "read_after_write",
    "redirect",
    "referrers",
    "reset",
    "stall",
    "status",
    "strict",
    "swap",
    "tag_pages",
    "throttle",
    "timeout",
    "tls",
    "token",
    "too_large",
    "truncate",
    "upload_location",
    "upload_lost",
    "upload_range",
    "wrong_length",
)
