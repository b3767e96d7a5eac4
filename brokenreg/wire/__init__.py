"""The connection under HTTP: what Hypercorn's own connection class does not tell or do.

Everything here stands on two seams: `hypercorn.asyncio.run` looks up the name `TCPServer` when a connection
arrives, and finds `Wire` there; `hypercorn.protocol` looks up `H2Protocol`, and finds `CheckedHTTP2`.
"""
