"""Durable content: blobs as content-addressed files, everything else in one SQLite index."""

from brokenreg.storage.store import Store

__all__ = ["Store"]
