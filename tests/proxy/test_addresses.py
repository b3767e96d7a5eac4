"""The address policy: it checks the address in any spelling, and the scope of the upstream."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brokenreg.proxy.errors import UpstreamForbiddenError
from brokenreg.proxy.http.addresses import AddressPolicy, Trust, parse_address

HOST, PORT = "registry.example", 443
TARGET = ("upstream.example", 5000)

LOOPBACK = st.ip_addresses(network="127.0.0.0/8").map(str) | st.just("::1")
PRIVATE = st.sampled_from(
    [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/11",
        "198.18.0.0/15",
        "fc00::/8",
        "fec0::/10",
    ]
).flatmap(lambda network: st.ip_addresses(network=network).map(str))
PUBLIC = st.sampled_from(["8.0.0.0/8", "93.184.0.0/16", "2600::/12", "2a00::/12"]).flatmap(
    lambda network: st.ip_addresses(network=network).map(str)
)
LINK_LOCAL = st.ip_addresses(network="169.254.0.0/16").map(str) | st.builds(
    lambda ip, scope: f"{ip}{scope}",
    st.ip_addresses(network="fe80::/10"),
    st.sampled_from(["", "%1", "%eth0", "%br-1.2"]),
)
NOBODY = (
    st.ip_addresses(network="224.0.0.0/4").map(str)
    | st.ip_addresses(network="ff00::/8").map(str)
    | st.sampled_from(["0.0.0.0", "::", "255.255.255.255"])
)
METADATA = st.sampled_from(
    ["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254"]
)
REFUSED = LINK_LOCAL | NOBODY | METADATA


@st.composite
def embedded(draw: st.DrawFn, addresses: st.SearchStrategy[str]) -> str:
    """Draw an address as it is, or an IPv4 address embedded in an IPv6 address."""
    text = draw(addresses)
    if ":" in text:
        return text
    number = int(IPv4Address(text))
    inside = [
        f"::ffff:{text}",
        f"::ffff:{text}%2",
        str(IPv6Address(0xFFFF << 32 | number)),
        str(IPv6Address(0x2002 << 112 | number << 80 | 1)),  # 6to4, RFC 3056
        f"64:ff9b::{text}",  # NAT64, RFC 6052
    ]
    return draw(st.sampled_from([text, *inside]))


def policy(*own: tuple[str, int], beyond_loopback: bool = False) -> AddressPolicy:
    return AddressPolicy(lambda: own, beyond_loopback)


def allowed(judging: AddressPolicy, address: str, trust: Trust, host: str = HOST, port: int = PORT) -> bool:
    try:
        judging.check(host, address, port, trust)
    except UpstreamForbiddenError:
        return False
    return True


def standing_at(address: str) -> Trust:
    """Return the trust of an upstream whose URL resolves to that address."""
    trust = Trust(TARGET)
    policy().check(TARGET[0], address, TARGET[1], trust)
    return trust


@given(embedded(REFUSED), st.booleans(), LOOPBACK | PRIVATE | PUBLIC)
def test_addresses_that_are_refused_for_every_upstream(address: str, beyond: bool, stands: str) -> None:
    judging = policy(beyond_loopback=beyond)
    assert not allowed(judging, address, standing_at(stands))
    assert not allowed(judging, address, Trust(TARGET), *TARGET)
    assert not allowed(judging, address, Trust())


@given(embedded(PUBLIC), st.booleans(), LOOPBACK | PRIVATE | PUBLIC)
def test_public_addresses_are_allowed_for_every_upstream(address: str, beyond: bool, stands: str) -> None:
    judging = policy(beyond_loopback=beyond)
    assert allowed(judging, address, Trust())
    assert allowed(judging, address, standing_at(stands))


@given(embedded(LOOPBACK), st.booleans(), embedded(LOOPBACK), embedded(PRIVATE | PUBLIC))
def test_loopback_is_only_for_upstreams_on_loopback(
    address: str, beyond: bool, here: str, elsewhere: str
) -> None:
    judging = policy(beyond_loopback=beyond)
    assert allowed(judging, address, standing_at(here))
    assert allowed(judging, address, Trust(TARGET), *TARGET)
    assert not allowed(judging, address, Trust())
    assert not allowed(judging, address, Trust(TARGET))
    assert not allowed(judging, address, standing_at(elsewhere))


@given(embedded(PRIVATE), embedded(LOOPBACK | PRIVATE), embedded(PUBLIC))
def test_private_networks_are_allowed_only_for_upstreams_in_them(address: str, near: str, far: str) -> None:
    beyond = policy(beyond_loopback=True)
    assert allowed(beyond, address, standing_at(near))
    assert allowed(beyond, address, Trust(TARGET), *TARGET)
    assert not allowed(beyond, address, Trust())
    assert not allowed(beyond, address, Trust(TARGET))
    assert not allowed(beyond, address, standing_at(far))
    for trust in (Trust(), standing_at(far)):
        assert allowed(policy(beyond_loopback=False), address, trust)


@given(
    embedded(LOOPBACK),
    st.sampled_from(["127.0.0.1", "::1", "0.0.0.0", "::", "localhost", "::ffff:127.0.0.1", "this.example"]),
    st.integers(1, 65535),
)
def test_own_listeners_are_refused_at_each_of_their_addresses(address: str, bound: str, port: int) -> None:
    judging = policy(("127.0.0.1", port % 65535 + 1), (bound, port))
    trust = standing_at(address)
    assert not allowed(judging, address, trust, port=port)
    assert not allowed(judging, address, Trust((HOST, port)), port=port)
    assert allowed(judging, address, trust, port=(port + 1) % 65535 + 1)


def test_own_listener_at_one_address_and_at_a_wildcard() -> None:
    judging = policy(("10.1.2.3", 5000))
    assert not allowed(judging, "10.1.2.3", Trust(), port=5000)
    assert not allowed(judging, "::ffff:10.1.2.3", Trust(), port=5000)
    assert allowed(judging, "10.1.2.4", Trust(), port=5000)
    assert allowed(policy(("0.0.0.0", 5000)), "192.0.2.1", Trust(), port=5000)  # another machine's


@pytest.mark.parametrize(
    "spelling",
    [
        "127.1",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "2130706433",
        "localhost",
        "LOCALHOST",
        "::ffff:127.0.0.1",
        "::1",
        "0",
    ],
)
def test_every_spelling_is_checked_after_resolution(spelling: str) -> None:
    for *_, address in socket.getaddrinfo(spelling, PORT, type=socket.SOCK_STREAM):
        assert not allowed(policy(), str(address[0]), Trust(), host=spelling)


def test_a_name_that_looks_like_loopback_is_not_trusted() -> None:
    trust = Trust(("127.example.org", 80))
    assert allowed(policy(), "93.184.215.14", trust, "127.example.org", 80)
    assert not allowed(policy(), "127.0.0.1", trust, "localhost", 8080)


@given(embedded(st.ip_addresses(v=4).map(str)))
def test_embedded_ipv4_addresses_are_recognised(text: str) -> None:
    assert parse_address(text).version == 4


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "127.example.org", "1.2.3.4.5", "[::1]", "::1:", "%1"]
)
def test_invalid_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        parse_address(text)


def test_the_error_names_the_option_that_helps() -> None:
    with pytest.raises(UpstreamForbiddenError, match=r"--upstream NAME=http://\[::1\]:5000$"):
        policy().check("::1", "::1", 5000, Trust())
    with pytest.raises(UpstreamForbiddenError, match=r"--upstream NAME=https://inner\.example:443$"):
        policy(beyond_loopback=True).check("inner.example", "10.0.0.1", 443, Trust())
