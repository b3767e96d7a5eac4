"""Checks addresses after name resolution and before each connection.

Therefore the rules also apply to redirects, to token realms, to names that resolve to another address each
time, and to every spelling of an address.
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
    """Return an address without its zone. For IPv6 that contains IPv4 (mapped, 6to4, NAT64), return the IPv4.

    Raise `ValueError` if `text` is not an address.
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
    """Return the host and port of a URL. Without a port, return the default port of its scheme."""
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


class AddressScope(IntEnum):
    """From where an address can be reached. A higher value is nearer to this machine."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2

    @classmethod
    def of(cls, ip: Address) -> AddressScope:
        """Return the scope of an address. All addresses that are not global are private (RFC 6890)."""
        if ip.is_loopback:
            return cls.LOOPBACK
        site_local = isinstance(ip, ipaddress.IPv6Address) and ip.is_site_local
        return cls.PUBLIC if ip.is_global and not ip.is_reserved and not site_local else cls.PRIVATE


@dataclass(slots=True)
class Trust:
    """The nearest scope that connections for an upstream may use.

    It is the scope of the upstream's own host if `--upstream` gives its URL. `target` is the host and port of
    that URL, or None. `scope` is the nearest scope that the host has resolved to.
    """

    target: tuple[str, int] | None = None
    scope: AddressScope = AddressScope.PUBLIC


class AddressPolicy:
    """Checks addresses. `own` returns host and port of each of our listeners."""

    def __init__(self, own: Callable[[], Collection[tuple[str, int]]], beyond_loopback: bool) -> None:
        self._own = own
        self._beyond_loopback = beyond_loopback

    def check(self, host: str, address: str, port: int, trust: Trust) -> None:
        """Raise `UpstreamForbiddenError` if `host`, resolved to `address`, may not be connected to.

        If it is the upstream's own host, `trust.scope` is extended to its scope.
        """
        ip = parse_address(address)
        scope = AddressScope.of(ip)
        place = authority(host, port)
        refused = self._refused(ip, port)
        if refused is not None:
            raise UpstreamForbiddenError(f"{place} is {refused}; brokenreg does not connect to it")
        if trust.target == (host, port):
            trust.scope = max(trust.scope, scope)
        if scope <= trust.scope:
            return
        if scope is AddressScope.LOOPBACK:
            raise UpstreamForbiddenError(
                f"{place} is on this machine, so it must be named in the settings; to allow it, add "
                f"--upstream NAME=http://{place}"
            )
        if self._beyond_loopback:
            raise UpstreamForbiddenError(
                f"{place} is in a private network, so it must be named in the settings; to allow it, add "
                f"--upstream NAME=https://{place}"
            )

    def _refused(self, ip: Address, port: int) -> str | None:
        """Return why no upstream may have this address, or None if it is acceptable."""
        if ip in _METADATA:
            return "a metadata service"
        if ip.is_link_local:
            return "a link-local address"
        if ip.is_multicast or ip.is_unspecified or ip == _BROADCAST:
            return "not the address of a single host"
        if any(port == own and _is_same_host(ip, host) for host, own in self._own()):
            return "this registry itself"
        return None


def _is_same_host(ip: Address, bound: str) -> bool:
    """Return whether a listener that is bound to `bound` can be reached at `ip`."""
    try:
        listening = parse_address(bound)
    except ValueError:  # a name, which may mean any of our addresses
        return _is_of_this_machine(ip)
    if listening.is_unspecified or (listening.is_loopback and ip.is_loopback):
        return _is_of_this_machine(ip)
    return ip == listening


def _is_of_this_machine(ip: Address) -> bool:
    """Return whether an address belongs to this machine. Only such addresses can be bound."""
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
