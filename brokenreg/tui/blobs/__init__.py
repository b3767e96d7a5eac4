"""All blobs, and what is in them."""
