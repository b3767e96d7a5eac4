"""Builds the HTTP client for upstreams. Importing it takes long, so it is created after the start."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

import httpcore
import httpx

from brokenreg.config.settings import Settings
from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.credentials import CredentialFinder
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.client import Authorize, UpstreamClient
from brokenreg.proxy.http.web_proxies import WebProxies


def upstream_client(
    settings: Settings,
    own: Callable[[], Collection[tuple[str, int]]],
    tokens: TokenCache,
    environ: Mapping[str, str],
    web_proxies: WebProxies,
    pseudonym: str,
) -> UpstreamClient:
    """Return the client; `own` returns the addresses of our listeners. Call it in a thread: it blocks."""
    # Otherwise httpcore would load this with the first request, on the event loop.
    asyncio.run(httpcore.AnyIOBackend().sleep(0))
    return UpstreamClient(
        {upstream.name: upstream.url for upstream in settings.upstream},
        AddressPolicy(own, settings.is_beyond_loopback),
        _context(settings.upstream_ca),
        _authorize(settings, tokens, environ),
        settings.upstream_timeout,
        web_proxies,
        pseudonym=pseudonym,
    )


def _authorize(settings: Settings, tokens: TokenCache, environ: Mapping[str, str]) -> Authorize:
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    credentials = CredentialFinder(environ, home) if settings.may_log_in else None
    realms: dict[str, tuple[httpx.URL, ...]] = {}
    for realm in settings.upstream_realm:
        realms[realm.name] = (*realms.get(realm.name, ()), httpx.URL(realm.url))
    return lambda route, client, add_event: UpstreamAuth(
        route, client, credentials, tokens, add_event, realms.get(route.upstream, ())
    )


def _context(authorities: Sequence[Path]) -> ssl.SSLContext:
    """Return a TLS context with the CAs of the system (or SSL_CERT_FILE) and of `--upstream-ca`."""
    context = ssl.create_default_context()
    for path in authorities:
        context.load_verify_locations(path)
    return context
