"""Our own HTTP/1.1 and HTTP/2, under Hypercorn's listeners. The layers above use only `Stream` and ASGI."""
