"""The Blobs tab: all blobs, and what is in them."""
