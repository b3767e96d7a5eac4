"""The network of a fleet: to which addresses calls may go, from which they are accepted, and our own."""

from __future__ import annotations

import contextlib
import ipaddress
import socket

from brokenreg.config.fleet import Network
from brokenreg.http.authority import ip_address_of

_DISCARD = 9
"""A port for a UDP socket that sends nothing."""


class NoAddressError(Exception):
    """This machine has no address in the network; the message is one clear line."""


def is_within(host: str, network: Network) -> bool:
    """Return whether an address is in the network. An IPv4 address in IPv6 form is the IPv4 address."""
    address = ip_address_of(host.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address is not None and address in network


def own_address(network: Network) -> str:
    """Return the address of this machine from which it reaches the network. Raise `NoAddressError`.

    The kernel chooses it when a UDP socket is connected, which sends nothing.
    """
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    first = network[1] if network.num_addresses > 2 else network[0]
    with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((str(first), _DISCARD))
        found: str = probe.getsockname()[0]
        if is_within(found, network):
            return found
    raise NoAddressError(
        f'--fleet-network "{network}": this machine has no address in that network: '
        "use the network in which the replicas reach each other, such as 10.0.0.0/8"
    )
