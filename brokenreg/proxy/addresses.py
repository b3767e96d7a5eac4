"""Which addresses may be connected to: judged after resolution, at connect (DESIGN: "Who may do what").

So it holds for redirects and token realms as for the first request, and for names that resolve to another
address each time.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Collection
from dataclasses import dataclass

import httpx

from brokenreg.proxy.errors import UpstreamForbiddenError

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(
    ipaddress.ip_address(each)
    for each in ("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254")
)
_SHARED = ipaddress.ip_network("100.64.0.0/10")
"""RFC 6598: the insides of carriers and clouds."""


def host_and_port(url: httpx.URL) -> tuple[str, int]:
    """Where a URL leads; the port is its scheme's if it names none."""
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


@dataclass(frozen=True, slots=True)
class Trust:
    """What one upstream was given by `--upstream`: `target` is the host and port of its URL."""

    target: tuple[str, int] | None = None
    loopback: bool = False
    private: bool = False


class AddressPolicy:
    """Judges addresses. `own` gives host and port of each listener of ours, as bound."""

    def __init__(self, own: Callable[[], Collection[tuple[str, int]]], beyond_loopback: bool) -> None:
        self._own = own
        self._beyond_loopback = beyond_loopback

    def check(self, host: str, address: str, port: int, trust: Trust) -> None:
        """Raise `UpstreamForbiddenError` if `host`, resolved to `address`, may not be connected to."""
        ip = _unmapped(ipaddress.ip_address(address.partition("%")[0]))
        objection = self._objection(ip, port)
        if objection is not None:
            raise UpstreamForbiddenError(f"{host}:{port} is {objection}, which no upstream may be")
        if trust.target == (host, port):
            return
        if ip.is_loopback and not trust.loopback:
            raise UpstreamForbiddenError(
                f"{host}:{port} is this machine; what listens there is asked only if it is named by "
                f"--upstream NAME=http://{host}:{port}"
            )
        if self._beyond_loopback and _is_private(ip) and not (trust.private or trust.loopback):
            raise UpstreamForbiddenError(
                f"{host}:{port} is inside a private network, which others who reach this registry must not "
                f"explore; name it by --upstream NAME=https://{host}:{port}"
            )

    def _objection(self, ip: _Address, port: int) -> str | None:
        if ip in _METADATA:
            return "a metadata service"
        if ip.is_link_local:
            return "a link-local address"
        if ip.is_multicast or ip.is_unspecified or ip == ipaddress.IPv4Address("255.255.255.255"):
            return "no address of one machine"
        if any(port == own and _is_same_host(ip, host) for host, own in self._own()):
            return "this registry itself"
        return None


def _unmapped(ip: _Address) -> _Address:
    """The IPv4 address inside an IPv6 one that leads to it: mapped, 6to4, NAT64."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _is_private(ip: _Address) -> bool:
    return ip.is_private or (isinstance(ip, ipaddress.IPv4Address) and ip in _SHARED)


def _is_same_host(ip: _Address, bound: str) -> bool:
    """Whether a listener bound to `bound` answers at `ip`."""
    try:
        listening = _unmapped(ipaddress.ip_address(bound))
    except ValueError:  # a name: localhost
        listening = ipaddress.ip_address("127.0.0.1")
    if listening.is_unspecified or (listening.is_loopback and ip.is_loopback):
        return ip.is_loopback or _is_of_this_machine(ip)
    return ip == listening


def _is_of_this_machine(ip: _Address) -> bool:
    """The system lets us bind addresses of our own alone."""
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((str(ip), 0))
        except OSError:
            return False
    return True
