"""Which token services may see the credentials of an upstream.

A challenge names whatever realm it likes, and whoever believed it has given passwords away
(CVE-2026-33540). There is no list of public suffixes here: a wrong no costs anonymity, a wrong yes a
password, so the rule is short and says no when in doubt.
"""

from __future__ import annotations

import httpx

from brokenreg.proxy.addresses import Address, host_and_port, parse_address

_SECOND_LEVEL = frozenset(
    {"ac", "co", "com", "edu", "go", "gob", "gov", "gv", "ne", "net", "nom", "or", "org"}
)
"""Below a country, names of a registry's making: `example.co.uk` has an owner, `co.uk` has none."""

_SHARED = frozenset(
    {
        "amazonaws.com",
        "appspot.com",
        "azurecr.io",
        "azurewebsites.net",
        "cloudfront.net",
        "fly.dev",
        "github.io",
        "gitlab.io",
        "herokuapp.com",
        "jfrog.io",
        "netlify.app",
        "ngrok.io",
        "onrender.com",
        "pages.dev",
        "pkg.dev",
        "run.app",
        "vercel.app",
        "windows.net",
        "workers.dev",
    }
)
"""Domains that give a name to each of their customers."""


def may_see_credentials(upstream: httpx.URL, realm: httpx.URL) -> bool:
    """Whether the token service at `realm` may be shown what `upstream` would be shown.

    It may if it is the same host and port; or has, over https, the same two last labels (three below
    `co.uk` and the like), unless those are shared by strangers; or if both are on this machine. A realm
    without TLS may never if the upstream has it.
    """
    if upstream.scheme == "https" and realm.scheme != "https":
        return False
    if host_and_port(realm) == host_and_port(upstream):
        return True
    if _is_loopback(upstream.host) and _is_loopback(realm.host):
        return True
    owner = _owner(upstream.host)
    return realm.scheme == "https" and owner is not None and owner == _owner(realm.host)


def _owner(host: str) -> str | None:
    """The part of a host's name that somebody has registered; None if that is unclear."""
    if _address(host) is not None:
        return None
    labels = host.removesuffix(".").split(".")
    depth = 3 if len(labels[-1]) == 2 and labels[-2:-1] and labels[-2] in _SECOND_LEVEL else 2
    owner = ".".join(labels[-depth:])
    return None if len(labels) < depth or owner in _SHARED else owner


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> Address | None:
    try:
        return parse_address(host)
    except ValueError:
        return None
