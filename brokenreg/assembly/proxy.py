"""The proxy as the settings want it."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from pathlib import Path

import httpcore
import httpx

from brokenreg.assembly.listeners import ListenError
from brokenreg.config.settings import Settings
from brokenreg.proxy.auth.authorization import UpstreamAuth
from brokenreg.proxy.auth.credentials import CredentialFinder
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.http.addresses import AddressPolicy
from brokenreg.proxy.http.client import Authorize, UpstreamClient
from brokenreg.proxy.http.web_proxies import WebProxies, set_variables
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.routes import Naming
from brokenreg.storage import Store

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running_proxy(
    settings: Settings,
    store: Store,
    own: Callable[[], Collection[tuple[str, int]]],
    environ: Mapping[str, str],
) -> AsyncIterator[Proxy]:
    """Provide the proxy. Leaving the block ends its work, and it refuses new work.

    `own` returns the addresses of our listeners. Credentials and web proxies are looked up in `environ`.
    Raise `ListenError`, one clear line, for a CA or a web proxy that cannot be used.
    """
    if not settings.offline:
        # Loads what httpcore would load with the first request, which would block the event loop for 20 ms.
        await httpcore.AnyIOBackend().sleep(0)
    tokens = TokenCache()
    proxy = _make_proxy(settings, store, tokens, own, environ)
    try:
        yield proxy
    finally:
        await tokens.close()
        await proxy.close()


def _make_proxy(
    settings: Settings,
    store: Store,
    tokens: TokenCache,
    own: Callable[[], Collection[tuple[str, int]]],
    environ: Mapping[str, str],
) -> Proxy:
    urls = {upstream.name: upstream.url for upstream in settings.upstream}
    naming = Naming(settings.default_upstream, settings.allow_upstream)
    if settings.offline:
        return Proxy(naming, None, store, settings.tag_ttl, keep_gone=settings.keep_gone)
    client = UpstreamClient(
        urls,
        AddressPolicy(own, settings.is_beyond_loopback),
        _context(settings),
        _authorize(settings, tokens, environ),
        settings.upstream_timeout,
        _web_proxies(settings, environ),
    )
    return Proxy(naming, client, store, settings.tag_ttl, keep_gone=settings.keep_gone)


def _web_proxies(settings: Settings, environ: Mapping[str, str]) -> WebProxies:
    """Raise `ListenError` for an invalid variable. Messages quote no value, as it may have a password."""
    names = set_variables(environ)
    if settings.upstream_proxy is None:
        if names:
            logger.warning(
                "upstreams are reached without a web proxy; not used: %s; add --upstream-proxy env to use it",
                ", ".join(names),
            )
        return WebProxies()
    if settings.upstream_proxy != "env":
        return WebProxies.only(settings.upstream_proxy)
    if not names:
        logger.warning("upstreams are reached without a web proxy: neither HTTPS_PROXY nor HTTP_PROXY is set")
    try:
        return WebProxies.from_environment(environ)
    except ValueError as error:
        raise ListenError(f"--upstream-proxy env: {error}") from None


def _authorize(settings: Settings, tokens: TokenCache, environ: Mapping[str, str]) -> Authorize:
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    credentials = CredentialFinder(environ, home) if settings.may_log_in else None
    realms: dict[str, tuple[httpx.URL, ...]] = {}
    for realm in settings.upstream_realm:
        realms[realm.name] = (*realms.get(realm.name, ()), httpx.URL(realm.url))
    return lambda route, client, add_event: UpstreamAuth(
        route, client, credentials, tokens, add_event, realms.get(route.upstream, ())
    )


def _context(settings: Settings) -> ssl.SSLContext:
    """The system's CAs (or those of SSL_CERT_FILE), and those of `--upstream-ca`."""
    context = ssl.create_default_context()
    for path in settings.upstream_ca:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise ListenError(
                f"cannot use --upstream-ca {path}: {error.strerror or error}; it must be a PEM file"
            ) from None
    return context
