"""An honest OCI registry (distribution-spec 1.1) that knows nothing of faults."""

from brokenreg.registry.app import Registry

__all__ = ["Registry"]
