"""What `make reference` writes: pages, types of the client, and parts of pages between two comments.

A part is between `<!-- make reference: routes -->` and `<!-- end -->`. The rest of a page is by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from click.testing import CliRunner

from brokenreg.cli.main import main
from documentation.clients.page import clients_page
from documentation.command_line import commands
from documentation.control_routes import routes
from documentation.exchanges import filter_keys, timeline_events
from documentation.fault_constructors import constructors, families, package
from documentation.panel_keys import panel_keys
from documentation.request_documents import request_documents
from documentation.settings import predecessor_variables, settings

ROOT = Path(__file__).parents[1]
_END = "<!-- end -->"


@dataclass(frozen=True)
class Generated:
    """A file, or the part of it with that name."""

    file: str
    make: Callable[[], str]
    part: str = ""

    def content(self) -> str:
        """Return the file as it should be. Raise `ValueError` if it has no place for the part."""
        if not self.part:
            return self.make()
        text = (ROOT / self.file).read_text(encoding="utf-8")
        start = f"<!-- make reference: {self.part} -->\n"
        before, begin, rest = text.partition(start)
        _, end, after = rest.partition(_END)
        if not (begin and end):
            raise ValueError(f"{self.file} does not have {start.strip()} and then {_END}")
        return f"{before}{start}\n{self.make()}\n\n{_END}{after}"

    def is_current(self) -> bool:
        """Return whether the file is as it should be."""
        path = ROOT / self.file
        return path.is_file() and path.read_text(encoding="utf-8") == self.content()


def _printed(*arguments: str) -> Callable[[], str]:
    """Return what makes a file of what a command prints."""
    return lambda: CliRunner().invoke(main, arguments, catch_exceptions=False).output


GENERATED = (
    Generated("docs/reference/faults.md", _printed("faults", "--markdown")),
    Generated("docs/reference/images.md", _printed("images", "--markdown")),
    Generated("docs/reference/profiles.md", _printed("profiles", "--markdown")),
    Generated("docs/reference/scenario.schema.json", _printed("scenario", "schema")),
    Generated("docs/explanation/clients.md", clients_page),
    Generated("docs/reference/command-line.md", commands, "commands"),
    Generated("docs/reference/settings.md", settings, "settings"),
    Generated("docs/reference/settings.md", predecessor_variables, "variables of broken-image-reg"),
    Generated("docs/reference/filters.md", filter_keys, "keys"),
    Generated("docs/reference/control-api.md", routes, "routes"),
    Generated("docs/reference/control-api.md", timeline_events, "timeline events"),
    Generated("docs/reference/panel.md", panel_keys, "keys"),
    Generated("brokenreg/client/request_documents.py", request_documents),
    Generated("brokenreg/client/faults/__init__.py", package),
    *(
        Generated(f"brokenreg/client/faults/_{family}.py", partial(constructors, family))
        for family in families()
    ),
)
