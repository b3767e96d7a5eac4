"""Fabricated images: made up from a tag, readable at any offset, never on disk.

`fabricator.Fabricator` is what the floors above use. An image is a recipe (`spec`): its content is a keyed
stream (`keystream`), framed as tar and gzip (`framing`, `layer`), summed once (`hashing`, `jobs`), described
by a manifest and a configuration (`image`), and remembered by its digests (`ledger`).
"""
