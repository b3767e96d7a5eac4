"""HTTP without connections: heads, frames, authorities and dates, and the ASGI types of all layers."""
