"""Authentication at upstreams: credentials, challenges and tokens."""
