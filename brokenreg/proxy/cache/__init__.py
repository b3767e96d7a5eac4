"""The cache: blobs, manifests and lists of upstreams, and the decision when to request them again."""
