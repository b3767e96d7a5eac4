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
    """What the rows of a list of `width` cells that were painted so far need, in cells.

    That is the longest client, and the longest request with its note: of all rows (`longest`), and of those
    whose request can be shown in full (`request`).
    """

    width: int
    client: int = 0
    request: int = 0
    longest: int = 0

    def note(self, client: int, request: int, beside: int) -> bool:
        """Note the lengths of a row, in cells; return whether one of them is longer than all before.

        `beside` is for the note, which can be shorter, or in place of the bar.
        """
        client = min(client, CLIENT_READ)
        most = self.width - _FIXED - _TIME - _CLIENT - 2 - _BAR
        fitting = request if request <= most else 0
        request += beside
        is_longer = client > self.client or fitting > self.request or request > self.longest
        self.client, self.request = max(client, self.client), max(fitting, self.request)
        self.longest = max(request, self.longest)
        return is_longer

    def columns(self, *, has_waterfall: bool) -> Columns:
        """Return the columns.

        The bar shrinks before a request is cut. Clients are shown in full if no other request is cut for it.
        A list that is very narrow has no bar, no client, or no time.
        """
        time, client = _TIME, _CLIENT
        if self.width - _FIXED - time - 1 - client - 1 < _REQUEST_AT_LEAST:
            client = 0
        if self.width - _FIXED - time - 1 < _REQUEST_AT_LEAST:
            time = 0
        room = self.width - _FIXED - (time and time + 1) - (client and client + 1)
        bar = _BAR if has_waterfall and room - _BAR >= _REQUEST_AT_LEAST else 0
        if client and self.width >= _WIDE:
            spare = max(0, room - bar - max(self.request, _REQUEST_AT_LEAST))
            more = min(spare, max(0, self.client - client))
            client, room = client + more, room - more
        if bar:
            spare = max(0, room - bar - max(self.longest, _REQUEST_AT_LEAST))
            bar = min(max(bar, min(_BAR_AT_MOST, (self.width - _LIST) // 3)), bar + spare)
        return Columns(time, client, max(1, room - bar), bar)
