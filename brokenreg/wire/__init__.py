"""The connection under HTTP: what Hypercorn's own connection class does not report or do.

Two names of Hypercorn are replaced: `hypercorn.asyncio.run` looks up `TCPServer` for each new connection, and
finds `Wire`; `hypercorn.protocol` looks up `H2Protocol`, and finds `CheckedHTTP2`.
"""
