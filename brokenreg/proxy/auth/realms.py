"""Decides which token services may get the credentials of an upstream.

A challenge can name any realm, and clients that trusted it have leaked passwords (CVE-2026-33540). In case
of doubt a realm is refused, because users can allow it with `--upstream-realm`.
"""

from __future__ import annotations

import asyncio
import functools
import re
from typing import TYPE_CHECKING

import httpx

from brokenreg.proxy.http.addresses import host_and_port, parse_address

if TYPE_CHECKING:
    from publicsuffixlist import PublicSuffixList

_NAME = re.compile(r"[a-z0-9_.-]+")
"""Excludes characters that resolvers, web proxies and URLs read differently: `evil.example\\.quay.io`."""

_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.IGNORECASE)
"""The last label of names that resolvers interpret as addresses, such as `10.1` and `0x7f.1`."""

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
"""Domains whose customers get subdomains, and that the public suffix list does not contain.

The list may contain some of their subdomains. Neither `ecr.us-east-1.amazonaws.com` nor `amazonaws.com` has
a single owner.
"""


async def may_see_credentials(upstream: httpx.URL, realm: httpx.URL) -> bool:
    """Return whether the token service at `realm` may get the credentials of `upstream`.

    It may if it has the same host and port, or, over https, the same registrable domain. If the upstream has
    TLS, a realm without TLS is always refused.
    """
    if upstream.scheme == "https" and realm.scheme != "https":
        return False
    if host_and_port(realm) == host_and_port(upstream):
        return True
    names = [host_and_port(url)[0].lower().removesuffix(".") for url in (upstream, realm)]
    if realm.scheme != "https" or len({tuple(name.split(".")[-2:]) for name in names}) > 1:
        return False  # avoids reading the list
    suffixes = await asyncio.to_thread(_public_suffixes)  # takes 0.1 s
    first, second = (_registrable_domain(suffixes, name) for name in names)
    return first is not None and first == second


def is_named(realm: httpx.URL, named: tuple[httpx.URL, ...]) -> bool:
    """Return whether a realm has the scheme, host and port of one of the URLs in `named`."""
    return any((url.scheme, *host_and_port(url)) == (realm.scheme, *host_and_port(realm)) for url in named)


@functools.cache
def _public_suffixes() -> PublicSuffixList:
    """Return the public suffix list, including private domains. Blocks."""
    from publicsuffixlist import PublicSuffixList

    return PublicSuffixList()


def _registrable_domain(suffixes: PublicSuffixList, host: str) -> str | None:
    """Return the registrable domain of a host, or None if there is none or it is shared."""
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
