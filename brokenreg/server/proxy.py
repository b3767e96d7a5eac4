"""The proxy as the settings want it."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from brokenreg.config import Settings
from brokenreg.proxy.addresses import AddressPolicy
from brokenreg.proxy.authorization import UpstreamAuth
from brokenreg.proxy.client import Authorize, UpstreamClient
from brokenreg.proxy.credentials import Credentials
from brokenreg.proxy.naming import Naming
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.tokens import TokenCache
from brokenreg.server.listeners import ListenError
from brokenreg.storage import Store

logger = logging.getLogger(__name__)

_WEB_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
"""Variables that curl, docker and others obey, in upper and lower case. We do not: whoever connects by a web
proxy does not resolve names, and cannot judge addresses."""


def make_proxy(settings: Settings, store: Store, own: Callable[[], Collection[tuple[str, int]]]) -> Proxy:
    """`own` gives the addresses of our listeners, once they are bound.

    Raise `ListenError`, one clear line, for a CA that cannot be used.
    """
    urls = {upstream.name: upstream.url for upstream in settings.upstream}
    naming = Naming(settings.default_upstream, settings.allow_upstream)
    if settings.offline:
        return Proxy(naming, None, store, settings.tag_ttl)
    _warn_of_web_proxies(os.environ)
    policy = AddressPolicy(own, settings.is_beyond_loopback)
    client = UpstreamClient(urls, policy, _context(settings), _authorize(settings), settings.upstream_timeout)
    return Proxy(naming, client, store, settings.tag_ttl)


def _warn_of_web_proxies(environ: Mapping[str, str]) -> None:
    """Never with their values, in which passwords stand."""
    names = [name for each in _WEB_PROXIES for name in (each, each.lower()) if environ.get(name)]
    if names:
        logger.warning("upstreams are asked without a web proxy; not obeyed: %s", ", ".join(names))


def _authorize(settings: Settings) -> Authorize:
    credentials = Credentials(os.environ, Path(os.path.expanduser("~"))) if settings.may_log_in else None
    tokens = TokenCache()
    return lambda route, client, tell: UpstreamAuth(route, client, credentials, tokens, tell)


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
