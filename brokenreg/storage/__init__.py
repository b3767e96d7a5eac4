"""Stores content durably: blobs as content-addressed files, and everything else in an index."""

from brokenreg.storage.store import Store

__all__ = ["Store"]
