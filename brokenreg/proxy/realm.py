"""Which token services may see the credentials of an upstream.

A challenge names whatever realm it likes, and whoever believed it has given passwords away (CVE-2026-33540).
Where that is wrongly refused, `--upstream-realm` mends it; where it is wrongly allowed, a password is lost.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import TYPE_CHECKING

import httpx

from brokenreg.proxy.addresses import host_and_port, parse_address

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_NAME = re.compile(r"[a-z0-9_.-]+")
"""Without the characters that resolvers, web proxies and URLs read differently: `evil.example\\.quay.io`."""

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""The last label of what resolvers take for an address: `10.1` is one, and `0x7f.1`."""

_SHARED = frozenset(
    {
        "amazonaws.com",
        "azure.com",
        "azurecr.io",
        "cluster.local",
        "googleapis.com",
        "jfrog.io",
        "lhr.life",
        "loca.lt",
        "nip.io",
        "oraclecloud.com",
        "pkg.dev",
        "serveo.net",
        "sslip.io",
        "traefik.me",
        "windows.net",
    }
)
"""Domains that give names to their customers, and that the public suffix list does not name itself.

It may name some below them: `ecr.us-east-1.amazonaws.com` belongs to one owner no more than `amazonaws.com`.
"""


async def may_see_credentials(upstream: httpx.URL, realm: httpx.URL) -> bool:
    """Return whether the token service at `realm` may be shown what `upstream` would be shown.

    It may if it is the same host and port; or if, over https, both have the same registrable domain. A realm
    without TLS may never if the upstream has it.
    """
    if upstream.scheme == "https" and realm.scheme != "https":
        return False
    if host_and_port(realm) == host_and_port(upstream):
        return True
    names = [host_and_port(url)[0].lower().removesuffix(".") for url in (upstream, realm)]
    if realm.scheme != "https" or len({tuple(name.split(".")[-2:]) for name in names}) > 1:
        return False  # without reading the list
    suffixes = await asyncio.to_thread(_public_suffixes)  # 0.1 s
    first, second = (_registrable_domain(suffixes, name) for name in names)
    return first is not None and first == second


def is_named(realm: httpx.URL, named: tuple[httpx.URL, ...]) -> bool:
    """Return whether a realm has the scheme, host and port of one of those that the settings name."""
    return any((url.scheme, *host_and_port(url)) == (realm.scheme, *host_and_port(realm)) for url in named)


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    """Return the list that the library ships, private domains and all. Blocks."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _registrable_domain(suffixes: PublicSuffixList, host: str) -> str | None:
    """Return the part of a host's name that somebody has registered; None if that is unclear."""
    if not _NAME.fullmatch(host) or _is_address(host) or _NUMBER.fullmatch(host.rpartition(".")[2]):
        return None
    domain: str | None = suffixes.privatesuffix(host)
    return None if domain is None or _is_shared(domain) else domain


def _is_shared(domain: str) -> bool:
    return any(f".{domain}".endswith(f".{shared}") for shared in _SHARED)


def _is_address(host: str) -> bool:
    try:
        parse_address(host)
    except ValueError:
        return False
    return True
