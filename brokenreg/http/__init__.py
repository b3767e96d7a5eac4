"""HTTP without connections: heads, frames, authorities, dates, and ASGI as all layers speak it."""
