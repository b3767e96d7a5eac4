"""Groups exchanges into pulls and pushes. Free of Textual.

A manifest has the digests of its blobs, so the following requests of the same client for these blobs belong
to it. Other blobs belong to the newest pull or push of that client in that repository. Another User-Agent,
another tag, a pause, and a request for a manifest that was served before begin a new one.
"""

from __future__ import annotations

from brokenreg.oci.digests import is_digest
from brokenreg.oci.target import Endpoint
from brokenreg.traffic.exchange import Exchange
from brokenreg.tui.traffic.transfer import MEMBERS, Kind, Read, Transfer, kind_of, tag_of

_CLIENTS = 256
"""Pairs of client and repository whose transfers may continue: the most recently active ones."""

_AT_ONCE = 8
"""Unfinished transfers of one such pair: the newest are kept."""

_PARTS = frozenset({Endpoint.MANIFEST, Endpoint.CONFIG, Endpoint.LAYER, Endpoint.UPLOAD, Endpoint.REFERRERS})

_Key = tuple[str, str, str, str]


class Transfers:
    """Assigns each exchange, in order of arrival, to a transfer, in constant time."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._going: dict[_Key, list[Transfer]] = {}

    def assign(self, exchange: Exchange) -> Transfer | None:
        """Add an exchange to a transfer, if necessary to a new one, and return it; None if it has none."""
        target = exchange.target
        if target.endpoint not in _PARTS or target.error is not None or exchange.method == "DELETE":
            return None
        host = exchange.client.rpartition(":")[0]
        key = (host, exchange.user_agent, target.namespace, target.repository)
        going = self._going.pop(key, [])
        self._going[key] = going
        transfer = self._choose(going, exchange)
        if transfer is None:
            transfer = Transfer(exchange)
            going.append(transfer)
            del going[:-_AT_ONCE]
            while len(self._going) > _CLIENTS:
                del self._going[next(iter(self._going))]
        transfer.add(exchange)
        if transfer.size == MEMBERS:
            going.remove(transfer)
        return transfer

    def _choose(self, going: list[Transfer], exchange: Exchange) -> Transfer | None:
        kind, tag = kind_of(exchange), tag_of(exchange)
        digest = exchange.target.reference if is_digest(exchange.target.reference) else ""
        is_stranger = exchange.endpoint is Endpoint.MANIFEST and kind is not Kind.PUSH
        newest: Transfer | None = None
        later: list[Transfer] = []
        for transfer in reversed(going):
            if not transfer.takes(exchange, kind, tag):
                continue
            if not digest:
                return transfer
            is_named = transfer.names(digest, self._read)
            if is_named:
                return next((each for each in later if each.inherit(transfer)), transfer)
            later.append(transfer)
            if newest is None and (
                is_named is None or not is_stranger or digest == transfer.first.target.reference
            ):
                newest = transfer
        return newest
