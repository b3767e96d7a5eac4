"""The secrets that settings can contain."""

from __future__ import annotations

from collections.abc import Iterator

from brokenreg.config.databases import passwords_in
from brokenreg.config.settings import Settings
from brokenreg.config.upstreams import WebProxy


def secrets_in(settings: Settings) -> Iterator[str]:
    """Yield the secrets in the settings, spelled as they are on the command line."""
    yield from passwords_in(settings.database)
    for user in settings.auth_user:
        yield f"{user.name}:{user.password.get_secret_value()}"
    for secret in (settings.control_token, settings.control_read_token, settings.fleet_key):
        if secret is not None:
            yield secret
    proxy = settings.upstream_proxy
    if isinstance(proxy, WebProxy) and proxy.login is not None:
        yield proxy.login.get_secret_value()
