"""By which proxies a request has come (`Via`, RFC 9110, section 7.6.3); loops (Proxy-Status, RFC 9209)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from brokenreg.proxy.errors import UpstreamLoopError

Via = tuple[str, ...]
"""Each proxy's protocol and name, the last one last; without the comments."""

_MOST = 16
"""Proxies that a request may have come by; whatever has come by more goes in a circle."""

_COMMENT = re.compile(r"\([^()]*\)")
_MEMBER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z/-]{1,40}[ \t]+[!-~]{1,255}")
_LOOP = re.compile(r"\berror\s*=\s*proxy_loop_detected\b")


def parse_via(values: Iterable[str], own: str) -> Via:
    """What the `Via` headers of a request say, to be passed on; members that are malformed are left out.

    Raise `UpstreamLoopError` if it has come by the proxy named `own`, or by too many.
    """
    members = [each.strip() for value in values for each in _COMMENT.sub("", value).split(",")]
    via = tuple(member for member in members if _MEMBER.fullmatch(member))
    if any(member.split()[1] == own for member in via):
        raise UpstreamLoopError(
            "a loop: this registry has asked for that itself, by way of its own upstream; "
            "--upstream or --default-upstream must name a registry that has the image"
        )
    if len(via) > _MOST:
        raise UpstreamLoopError(f"a loop: the request has come by more than {_MOST} proxies (Via)")
    return via


def tells_of_loop(proxy_status: str | None) -> bool:
    """Whether a response's `Proxy-Status` says that the request came back to where it had been."""
    return proxy_status is not None and _LOOP.search(proxy_status) is not None
