"""Fabricated images, and listings of layers.

Other packages use `fabricator.Fabricator`. A tag specifies a recipe (`spec`). The content of a layer is a
keyed stream, framed as tar and gzip (`layer`, `framing`). It can be read at any offset and is never on disk.
It is hashed once (`hashing`, `jobs`), described by a manifest and a configuration (`image`), and found again
by its digests (`ledger`). `layer_listing` lists the entries of any layer.
"""
