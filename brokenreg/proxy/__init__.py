"""The proxy: fetches images from other registries, verifies them and keeps them."""
