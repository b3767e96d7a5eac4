"""The proxy: images of other registries, fetched once, verified and kept."""
