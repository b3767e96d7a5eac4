"""Checks settings that depend on each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from brokenreg.config.addresses import is_host
from brokenreg.config.databases import SQLITE
from brokenreg.config.users import check_control_tokens

if TYPE_CHECKING:
    from brokenreg.config.settings import Settings


def check_combinations(settings: Settings) -> None:
    """Raise `ValueError` for a setting that requires or excludes another."""
    _check_upstream_names(settings)
    _check_web_proxy(settings)
    _check_tls(settings)
    if settings.auth == "none" and settings.auth_user:
        raise ValueError("--auth-user requires a login: add --auth basic or --auth token")
    if settings.auth != "token" and settings.token_lifetime is not None:
        raise ValueError("--token-lifetime requires tokens: add --auth token")
    if settings.blob_redirect and settings.blobs.is_folder:
        raise ValueError("--blob-redirect requires an object store: add --blobs")
    if settings.fleet_network is not None and settings.fleet_key is None:
        raise ValueError("--fleet-network requires a fleet: add --fleet-key KEY")
    if settings.fleet_key is not None and settings.database == SQLITE and settings.database_file is None:
        raise ValueError(
            "--fleet-key requires a database that several brokenregs share: add --database postgresql://..."
        )
    if settings.fleet_key is not None and "blobs" not in settings.model_fields_set:
        raise ValueError(
            "--fleet-key requires blobs that all brokenregs share: add --blobs with the same object store to "
            "all; if clients only pull images that are fabricated or from upstreams, add --blobs file:"
        )
    if settings.database != SQLITE and settings.database_file is not None:
        raise ValueError("--database excludes --database-file: remove either")
    check_control_tokens(settings.control, settings.control_token, settings.control_read_token)


def _check_upstream_names(settings: Settings) -> None:
    """Check the names of upstreams without a URL, because brokenreg connects to them by name."""
    has_url = {upstream.name for upstream in settings.upstream}
    for written, name in (
        ("--default-upstream", settings.default_upstream),
        *(("--listen", listen.upstream) for listen in settings.listen),
    ):
        if name is not None and name not in has_url and not is_host(name):
            raise ValueError(
                f'{written}: invalid upstream "{name}": use a host name, an IPv4 address of four decimal '
                f"numbers without leading zeros, or add --upstream {name}=URL"
            )


def _check_web_proxy(settings: Settings) -> None:
    """Require `--allow-upstream` with a web proxy. It resolves names, so addresses cannot be checked."""
    is_used = settings.upstream_proxy is not None and not settings.offline
    if is_used and settings.is_beyond_loopback and not settings.allow_upstream:
        raise ValueError(
            "--upstream-proxy requires --allow-upstream if other machines can reach --listen, because "
            "brokenreg cannot check addresses that only the web proxy resolves: "
            "add --allow-upstream NAME for each registry, or listen on 127.0.0.1"
        )


def _check_tls(settings: Settings) -> None:
    if (settings.cert is None) != (settings.key is None):
        raise ValueError("--cert and --key (CERT_FILE and KEY_FILE) require each other: pass both or neither")
    if settings.cert is not None and settings.tls is not None:
        raise ValueError("--tls self-signed excludes --cert and --key: remove either")
    if settings.control_tls is not None and settings.control is None:
        raise ValueError("--control-tls requires a control API: remove --control off")
    if settings.control_tls == "registry" and settings.cert is None and settings.tls is None:
        raise ValueError("--control-tls registry requires a certificate: add --cert and --key, or --tls")
