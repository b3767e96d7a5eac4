"""Stores content durably: blobs as content-addressed files, and everything else in one SQLite index."""

from brokenreg.storage.store import Store

__all__ = ["Store"]
