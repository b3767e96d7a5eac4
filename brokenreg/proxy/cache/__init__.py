"""The cache: blobs, manifests and lists of upstreams, and when they are requested again."""
