"""Receives the signed calls of other replicas."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial

from brokenreg.config.fleet import Network
from brokenreg.fleet.calls import CREDENTIAL, PROOF, SIGNED_HEADERS
from brokenreg.fleet.errors import CallRefusedError
from brokenreg.fleet.network import is_within
from brokenreg.fleet.signing import CallSigner, SignedHead
from brokenreg.http.asgi import (
    EncodedHeaders,
    Handled,
    Handler,
    Message,
    ReadyResponse,
    Receive,
    Scope,
    Send,
    all_headers,
    complete,
)
from brokenreg.oci.errors import ErrorCode, OCIError
from brokenreg.registry.responses import error_response

logger = logging.getLogger(__name__)


class CallReceiver:
    """Passes the calls of other replicas to `handler`, which gets only headers that are signed."""

    def __init__(self, handler: Handler, signer: CallSigner, network: Network) -> None:
        self._handler = handler
        self._signer = signer
        self._network = network

    def __call__(self, scope: Scope, receive: Receive) -> Handled:
        """Handle a call, and prove in the response that this replica has the key. Refuse it with a 403."""
        try:
            head, nonce = self._checked(scope)
        except CallRefusedError as error:
            logger.warning("refused a call to the fleet listener from %s: %s", _client(scope), error)
            return error_response(OCIError(403, ErrorCode.DENIED, "this listener is only for replicas"))
        headers = [(name.encode("ascii"), value.encode("latin-1")) for name, value in head.headers]
        handled = self._handler({**scope, "headers": headers}, receive)
        if isinstance(handled, ReadyResponse):
            return handled._replace(headers=(*handled.headers, *self._proof(nonce, handled.status)))
        return partial(self._respond, handled, nonce)

    def _checked(self, scope: Scope) -> tuple[SignedHead, str]:
        """Return the signed part of the head, and the nonce. Raise `CallRefusedError`."""
        if not is_within(_client(scope), self._network):
            raise CallRefusedError(f"the address is not in --fleet-network {self._network}")
        head = SignedHead(scope["method"], target_sent(scope), tuple(sorted(_signed_headers(scope))))
        credentials = all_headers(scope, CREDENTIAL.encode("ascii"))
        return head, self._signer.check(credentials[0] if len(credentials) == 1 else "", head)

    async def _respond(self, handled: Handled, nonce: str, send: Send) -> None:
        async def send_with_proof(message: Message) -> None:
            if message["type"] == "http.response.start":
                proof = self._proof(nonce, message["status"])
                message = {**message, "headers": [*message["headers"], *proof]}
            await send(message)

        await complete(handled, send_with_proof)

    def _proof(self, nonce: str, status: int) -> EncodedHeaders:
        return ((PROOF.encode("ascii"), self._signer.proof(nonce, status).encode("ascii")),)


def target_sent(scope: Scope) -> str:
    """Return the path and the query of a request as they were sent."""
    query = scope["query_string"]
    target: bytes = scope["raw_path"] + (b"?" + query if query else b"")
    return target.decode("ascii")


def _signed_headers(scope: Scope) -> Iterator[tuple[str, str]]:
    """Yield the headers that are signed. Raise `CallRefusedError` if one of them is repeated."""
    for name in SIGNED_HEADERS:
        values = all_headers(scope, name.encode("ascii"))
        if len(values) > 1:
            raise CallRefusedError(f"the header {name} is repeated")
        if values:
            yield name, values[0]


def _client(scope: Scope) -> str:
    """Return the address of the client, or an empty string if it has already disconnected."""
    return scope["client"][0] if scope["client"] else ""
