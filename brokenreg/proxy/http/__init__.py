"""HTTP to upstreams: connections, addresses, limits, and what becomes of failures."""
