"""The widths of the columns of the list of exchanges. Free of Textual."""

from __future__ import annotations

from dataclasses import dataclass

STATUS, SIZE, MS = 3, 6, 6
_TIME = 8
_CLIENT, CLIENT_READ = 10, 24
"""Cells of a client: always, and if there is room."""
_REQUEST_AT_LEAST = 20
_BAR, _BAR_AT_MOST = 9, 30
_LIST = 53
"""Cells of a list before a third of the others is for the bar."""
_FIXED = 3 + 1 + STATUS + 1 + SIZE + 1 + MS + 1
"""Cells of a row that never change: gutter, glyph and mark, the columns at the right, and spaces."""
_WIDE = 100
"""Cells of a list from which clients are shown in full, if there is room."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The widths in cells. A column of width 0 is not shown. `request` is for the request and the note."""

    time: int
    client: int
    request: int
    bar: int


@dataclass(slots=True)
class Wishes:
    """The longest client, and the longest request with its note, of the rows that were painted so far."""

    client: int = 0
    request: int = 0

    def note(self, client: int, request: int) -> bool:
        """Note the lengths of a row, in cells; return whether one of them is longer than all before."""
        client = min(client, CLIENT_READ)
        is_longer = client > self.client or request > self.request
        self.client, self.request = max(client, self.client), max(request, self.request)
        return is_longer

    def columns(self, width: int, *, has_waterfall: bool) -> Columns:
        """Return the columns of a list of `width` cells.

        The bar shrinks before a request is cut. Clients are shown in full if no request is cut for it. A
        list that is very narrow has no bar, no client, or no time.
        """
        time, client = _TIME, _CLIENT
        if width - _FIXED - time - 1 - client - 1 < _REQUEST_AT_LEAST:
            client = 0
        if width - _FIXED - time - 1 < _REQUEST_AT_LEAST:
            time = 0
        room = width - _FIXED - (time and time + 1) - (client and client + 1)
        bar = _BAR if has_waterfall and room - _BAR >= _REQUEST_AT_LEAST else 0
        spare = max(0, room - bar - max(self.request, _REQUEST_AT_LEAST))
        if client and width >= _WIDE:
            more = min(spare, max(0, self.client - client))
            client, room, spare = client + more, room - more, spare - more
        if bar:
            bar = min(max(bar, min(_BAR_AT_MOST, (width - _LIST) // 3)), bar + spare)
        return Columns(time, client, max(1, room - bar), bar)
