"""HTTP to upstreams: connections, addresses, limits, and the conversion of failures."""
