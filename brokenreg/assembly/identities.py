"""Chooses the certificates of a run from the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from brokenreg.config.settings import Settings

if TYPE_CHECKING:
    from brokenreg.assembly.tls import Identity


def identities(settings: Settings, folder: Path) -> tuple[Identity | None, Identity | None]:
    """Return the certificates of the registry and of the control API, or None for plain HTTP.

    Only TLS imports the library.
    """
    if settings.cert is None and settings.tls is None and settings.control_tls is None:
        return None, None
    from brokenreg.assembly.tls import control_identity, identity_of

    of_registry = identity_of(settings, folder)
    return of_registry, control_identity(settings, folder, of_registry)


def authority_of(
    settings: Settings, of_registry: Identity | None, of_control: Identity | None
) -> Path | None:
    """Return the file of the CA that clients must trust, if one was created."""
    if settings.tls is not None and of_registry is not None:
        return of_registry.authority
    return of_control.authority if settings.control_tls == "self-signed" and of_control else None
