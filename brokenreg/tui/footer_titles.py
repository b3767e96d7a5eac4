"""What parts of the screen add to the footer: commands of the current row, and other titles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from textual.dom import DOMNode
from textual.screen import Screen


@runtime_checkable
class HasFooterTitles(Protocol):
    """A node whose commands have other titles now, or are in the footer only now."""

    @property
    def footer_titles(self) -> Mapping[str, str]:
        """Return titles by command id. An empty one is that of the table of commands."""
        ...


def footer_titles(node: DOMNode) -> dict[str, str]:
    """Return the titles of `node` and those around it, as far as keys work from there."""
    titles: dict[str, str] = {}
    for each in node.ancestors_with_self:
        if isinstance(each, HasFooterTitles):
            titles |= each.footer_titles
        if isinstance(each, Screen) and each.is_modal:
            break
    return titles
