"""Which addresses may be connected to: judged after resolution, at connect (DESIGN: "Who may do what").

So it holds for redirects and token realms as for the first request, for names that resolve to another
address each time, and however an address is spelled.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import IntEnum

import httpx

from brokenreg.http.authority import authority
from brokenreg.proxy.errors import UpstreamForbiddenError, UpstreamNameError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in (
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "fd00:ec2::254",
        "fd00:ec2::23",
        "fd20:ce::254",
        "fd00:42::42",
    )
)

_LONGEST_LABEL = 63
"""Maximum length of a label of a host name, in bytes (RFC 1035, section 2.3.4)."""

_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def parse_address(text: str) -> Address:
    """An address without its scope; if it is IPv6 and leads to IPv4 (mapped, 6to4, NAT64), the latter.

    Raise `ValueError` if `text` is none.
    """
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


def upstream_url(upstream: str, url: str) -> httpx.URL:
    """Return the URL of an upstream.

    Raise `UpstreamNameError` if the host is neither a name nor an address (`0177.0.0.1`, `xn--a.example`).
    """
    try:
        parsed = httpx.URL(url)
        labels = parsed.host.split(".")  # `host` decodes the name
    except (httpx.InvalidURL, UnicodeError):
        raise UpstreamNameError(upstream) from None
    if max(map(len, labels)) > _LONGEST_LABEL:
        raise UpstreamNameError(upstream)
    return parsed


def host_and_port(url: httpx.URL) -> tuple[str, int]:
    """Where a URL leads; the port is its scheme's if it names none."""
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


class Nearness(IntEnum):
    """How near to us an address is."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2

    @classmethod
    def of(cls, ip: Address) -> Nearness:
        """Private is whatever is not for everybody (RFC 6890), the insides of carriers and clouds too."""
        if ip.is_loopback:
            return cls.LOOPBACK
        site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
        return cls.PUBLIC if ip.is_global and not ip.is_reserved and not site_local else cls.PRIVATE


@dataclass(slots=True)
class Trust:
    """How near to us an upstream may lead: no nearer than it stands itself, where `--upstream` says so.

    `target` is the host and port of its URL, None if it has none; `nearest` is what that has resolved to.
    """

    target: tuple[str, int] | None = None
    nearest: Nearness = Nearness.PUBLIC


class AddressPolicy:
    """Judges addresses. `own` gives host and port of each listener of ours, as bound."""

    def __init__(self, own: Callable[[], Collection[tuple[str, int]]], beyond_loopback: bool) -> None:
        self._own = own
        self._beyond_loopback = beyond_loopback

    def check(self, host: str, address: str, port: int, trust: Trust) -> None:
        """Raise `UpstreamForbiddenError` if `host`, resolved to `address`, may not be connected to.

        `trust` learns from it where its own target stands.
        """
        ip = parse_address(address)
        nearness = Nearness.of(ip)
        place = authority(host, port)
        inapplicable_reason = self._objection(ip, port)
        if inapplicable_reason is not None:
            raise UpstreamForbiddenError(f"{place} is {inapplicable_reason}, which no upstream may be")
        if trust.target == (host, port):
            trust.nearest = max(trust.nearest, nearness)
        if nearness <= trust.nearest:
            return
        if nearness is Nearness.LOOPBACK:
            raise UpstreamForbiddenError(
                f"{place} is this machine, where nobody else may lead us; what listens there can be given a "
                f"name by --upstream NAME=http://{place}"
            )
        if self._beyond_loopback:
            raise UpstreamForbiddenError(
                f"{place} is inside a private network, which nobody who reaches this registry may explore; "
                f"what is there can be given a name by --upstream NAME=https://{place}"
            )

    def _objection(self, ip: Address, port: int) -> str | None:
        if ip in _METADATA:
            return "a metadata service"
        if ip.is_link_local:
            return "a link-local address"
        if ip.is_multicast or ip.is_unspecified or ip == _BROADCAST:
            return "no address of one machine"
        if any(port == own and _is_same_host(ip, host) for host, own in self._own()):
            return "this registry itself"
        return None


def _is_same_host(ip: Address, bound: str) -> bool:
    """Whether a listener bound to `bound` answers at `ip`."""
    try:
        listening = parse_address(bound)
    except ValueError:  # a name, which may stand for any of our addresses
        return _is_of_this_machine(ip)
    if listening.is_unspecified or (listening.is_loopback and ip.is_loopback):
        return _is_of_this_machine(ip)
    return ip == listening


def _is_of_this_machine(ip: Address) -> bool:
    """The system lets us bind addresses of our own alone."""
    if ip.is_loopback:
        return True
    try:
        with socket.socket(
            socket.AF_INET if ip.version == 4 else socket.AF_INET6, socket.SOCK_DGRAM
        ) as probe:
            probe.bind((str(ip), 0))
    except OSError:
        return False
    return True
