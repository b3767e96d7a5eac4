"""Builds the proxy from the settings."""

from __future__ import annotations

import contextlib
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from brokenreg.assembly.occupied import ListenError
from brokenreg.config.settings import Settings
from brokenreg.proxy.auth.tokens import TokenCache
from brokenreg.proxy.cache.turns import ReplicaDownloads
from brokenreg.proxy.http.upstreams import LateUpstreams
from brokenreg.proxy.http.web_proxies import WebProxies, set_variables
from brokenreg.proxy.proxy import Proxy
from brokenreg.proxy.routes import Naming
from brokenreg.storage import Store

if TYPE_CHECKING:
    from brokenreg.proxy.http.client import UpstreamClient

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def running_proxy(
    settings: Settings,
    store: Store,
    own: Callable[[], Collection[tuple[str, int]]],
    environ: Mapping[str, str],
    pseudonym: str,
    replicas: ReplicaDownloads | None = None,
) -> AsyncIterator[Proxy]:
    """Provide the proxy. Leaving the block ends its work; it then refuses new work.

    `own` returns the addresses of our listeners. Credentials and web proxies are looked up in `environ`. The
    proxy calls itself `pseudonym`, by which it recognizes its own requests. `replicas` reads what other
    processes download.
    Raise `ListenError` with one clear line if a CA or a web proxy cannot be used.
    """
    tokens = TokenCache()
    proxy = _make_proxy(settings, store, tokens, own, environ, pseudonym, replicas)
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
    pseudonym: str,
    replicas: ReplicaDownloads | None,
) -> Proxy:
    naming = Naming(settings.default_upstream, settings.allow_upstream)
    made = partial(Proxy, store=store, ttl=settings.tag_ttl, keep_gone=settings.keep_gone, replicas=replicas)
    if settings.offline:
        return made(naming, None)
    _check_authorities(settings.upstream_ca)
    web_proxies = _web_proxies(settings, environ)

    def make() -> UpstreamClient:
        from brokenreg.assembly.upstream_client import upstream_client

        return upstream_client(settings, own, tokens, environ, web_proxies, pseudonym)

    return made(naming, LateUpstreams(make, pseudonym))


def _web_proxies(settings: Settings, environ: Mapping[str, str]) -> WebProxies:
    """Return the web proxies. Raise `ListenError` for an invalid variable, without its value: a secret."""
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


def _check_authorities(paths: Sequence[Path]) -> None:
    """Raise `ListenError` if a file of `--upstream-ca` cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for path in paths:
        try:
            context.load_verify_locations(path)
        except OSError as error:
            raise ListenError(
                f"cannot use --upstream-ca {path}: {error.strerror or error}; it must be a PEM file"
            ) from None
