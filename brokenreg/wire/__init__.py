"""Our own HTTP/1.1 and HTTP/2, under Hypercorn's listeners. Everything above sees only `Stream` and ASGI."""
