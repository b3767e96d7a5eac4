"""Blobs in an object store, in front of which the data folder is a cache of bounded size."""
