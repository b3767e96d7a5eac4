"""The table of commands.

Keys, footer, palette, help screen and documentation come from it. Free of Textual; `bindings.py` makes
bindings of it. `make reference` writes them to docs/reference/panel.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

from brokenreg.tui.areas import TABS, area


@dataclass(frozen=True, slots=True)
class Command:
    """One row. `id` is AREA.NAME, which is also its name in the `[keys]` table of the configuration file.

    `keys` are one or several with commas between, the first of them shown. `help` is one line. It calls
    `action_<name>` of the widget that has the area's bindings, unless `does` names another action.
    `footer` commands are shown there while they are available. `changes` are refused to users who may only
    look; all other commands change only the panel itself.
    """

    id: str
    keys: str
    title: str
    help: str
    does: str = ""
    footer: bool = False
    priority: bool = False
    changes: bool = False

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    @property
    def group(self) -> str:
        return area(self.area).group

    @property
    def action(self) -> str:
        return self.does or self.id.partition(".")[2].replace("-", "_")

    @property
    def action_name(self) -> str:
        """Return the name of the action, without parameters."""
        return self.action.partition("(")[0]


COMMANDS: tuple[Command, ...] = (
    *(
        Command(f"tab.{each.name}", each.key, each.title, each.help, f"show_tab('{each.name}')")
        for each in TABS.values()
    ),
    Command("move.down", "j,down", "Down", "Move one line down", "move(1)"),
    Command("move.up", "k,up", "Up", "Move one line up", "move(-1)"),
    Command("move.first", "g,home", "First", "Go to the first line"),
    Command("move.last", "G,end", "Last", "Go to the last line"),
    Command("move.page-down", "pagedown,ctrl+f", "Page down", "Move one screen down", "page(1)"),
    Command("move.page-up", "pageup,ctrl+b", "Page up", "Move one screen up", "page(-1)"),
    Command("split.left", "<", "Move border left", "Move the border left, or up", "resize(-1)"),
    Command("split.right", ">", "Move border right", "Move the border right, or down", "resize(1)"),
    Command("traffic.open", "enter", "Open", "Show the exchange or group in full", footer=True),
    Command("traffic.back", "escape", "Back", "Go back to the list", footer=True),
    Command(
        "traffic.previous-pane",
        "h,left",
        "Previous pane",
        "Show the previous pane",
        "pane(-1)",
    ),
    Command(
        "traffic.next-pane",
        "l,right",
        "Next pane",
        "Show the next pane",
        "pane(1)",
        footer=True,
    ),
    Command("traffic.follow", "F", "Follow", "Follow new exchanges, or stop", footer=True),
    Command("traffic.filter", "/", "Filter", "Filter the list, e.g. by status:5xx", footer=True),
    Command("traffic.filter-toggle", "\\", "Toggle filter", "Disable the filter, or enable it"),
    Command("traffic.filters", "@", "Recall filter", "Choose a named or recent filter"),
    Command("traffic.expand", "space", "Expand", "Expand or collapse the pull or push"),
    Command("traffic.groups", "u", "Group by pull", "Group by pull and push, or ungroup"),
    Command("traffic.mark", "m", "Mark", "Mark or unmark the exchange or group"),
    Command("traffic.next-marked", "'", "Next mark", "Go to the next marked row", "go_marked(1)"),
    Command(
        "traffic.previous-marked", '"', "Previous mark", "Go to the previous marked row", "go_marked(-1)"
    ),
    Command("traffic.clear-marks", "U", "Unmark all", "Remove all marks"),
    Command("traffic.compare", "=", "Compare", "Compare two marked rows side by side"),
    Command("traffic.routine", "f", "Hide routine", "Hide or show routine exchanges"),
    Command("traffic.waterfall", "w", "Waterfall", "Show or hide the timing waterfall"),
    Command("filter.apply", "enter", "Apply", "Apply the filter", footer=True),
    Command("filter.complete", "tab", "Complete", "Accept the suggestion", footer=True),
    Command("filter.previous", "up", "Previous filter", "Recall the previous filter"),
    Command("filter.next", "down", "Next filter", "Recall the next filter"),
    Command("filter.name", "ctrl+s", "Name filter", "Name the filter; @NAME recalls it", footer=True),
    Command("filter.cancel", "escape", "Cancel", "Discard the changes to the filter", footer=True),
    Command(
        "traffic.fail-next", "n", "Fail next", "Make the next similar request fail", footer=True, changes=True
    ),
    Command(
        "traffic.fail-next-with",
        "N",
        "Fail next with…",
        "Choose how the next request fails",
        changes=True,
    ),
    Command("faults.add", "c", "Add", "Choose a fault and add a rule", footer=True, changes=True),
    Command("faults.edit", "enter", "Edit", "Edit the rule", footer=True, changes=True),
    Command("faults.switch", "space", "Toggle", "Enable or disable the rule", footer=True, changes=True),
    Command("faults.delete", "d", "Delete", "Delete the rule", footer=True, changes=True),
    Command("faults.earlier", "K", "Move up", "Move the rule up one place", changes=True),
    Command("faults.later", "J", "Move down", "Move the rule down one place", changes=True),
    Command("faults.load", "o", "Load", "Load a scenario file", footer=True, changes=True),
    Command("faults.save", "W,ctrl+s", "Save", "Save the rules as a scenario file", footer=True),
    Command("blobs.open", "enter", "Open", "Show the content of the blob", footer=True),
    Command("blobs.back", "escape", "Back", "Go back, or clear the search", footer=True),
    Command("blobs.search", "/", "Search", "Find by digest, kind, origin or name", footer=True),
    Command("blobs.sort", "o", "Sort", "Sort by size, last use or name", footer=True),
    Command("blobs.verify", "v", "Verify", "Verify the digest, or stop verifying", footer=True, changes=True),
    Command("blobs.corrupt", "C", "Corrupt", "Corrupt what clients receive, or stop", changes=True),
    Command(
        "blobs.delete", "d", "Delete", "Delete the blob from all repositories", footer=True, changes=True
    ),
    Command("blobs.copy", "y", "Copy digest", "Copy the digest"),
    Command("tree.expand", "space", "Expand", "Expand or collapse the row", footer=True),
    Command("tree.right", "right,l", "Expand or go down", "Expand, or go to the first child"),
    Command("tree.left", "left,h", "Collapse or go up", "Collapse, or go to the parent"),
    Command("tags.open", "enter", "Open", "Show the manifest, index or blob", footer=True),
    Command("tags.back", "escape", "Show all", "Clear the search and show all names", footer=True),
    Command("tags.search", "/", "Search", "Search repository names and tags", footer=True),
    Command("tags.copy", "y", "Copy", "Copy the pull command", footer=True),
    Command("tags.copy-next", "Y", "Next client", "Copy the command for the next client"),
    Command("tags.images", "i", "Odd images", "Choose an odd image or a profile", footer=True),
    Command("tags.retag", "R", "Add tag", "Add another tag to the manifest", footer=True, changes=True),
    Command("tags.delete", "d", "Delete", "Delete the tag or manifest", footer=True, changes=True),
    Command("traffic.replay", "r", "Replay", "Resend without credentials", changes=True),
    Command("traffic.export", "x", "Export", "Export as a curl command, HAR or rule", footer=True),
    Command("traffic.copy", "y", "Copy", "Copy the digest or reference"),
    Command("export.previous-format", "h,left", "Previous format", "Show the previous format", "format(-1)"),
    Command("export.next-format", "l,right", "Next format", "Show the next format", "format(1)", footer=True),
    Command("export.copy", "y", "Copy", "Copy the export to the clipboard", footer=True),
    Command("export.save", "s", "Save", "Save the export to a file", footer=True),
    Command("export.close", "escape,q", "Close", "Close the dialogue", footer=True),
    Command("naming.save", "enter", "Save", "Save the export to the file", "submit", footer=True),
    Command("naming.cancel", "escape", "Cancel", "Stop saving, and go back", footer=True),
    Command("compare.open", "enter", "Open", "Show both exchanges in full", footer=True),
    Command("compare.next", "n", "Next", "Go to the next row that differs", "difference(1)", footer=True),
    Command("compare.previous", "N", "Previous", "Go to the previous row that differs", "difference(-1)"),
    Command("compare.hide-equal", "f", "Hide equal", "Hide or show what is equal", footer=True),
    Command("compare.swap", "s", "Swap", "Swap the left and the right side", footer=True),
    Command("compare.export", "x", "Export", "Export the comparison as text", footer=True),
    Command("compare.close", "escape,q", "Back", "Go back, or close the comparison", footer=True),
    Command("holding.hold", "p", "Hold", "Hold the selected response", footer=True, changes=True),
    Command("holding.step", "s", "Step", "Send the next bytes, then hold again", footer=True, changes=True),
    Command("holding.step-size", "S", "Set step size", "Set how many bytes a step sends"),
    Command("holding.resume", "a", "Resume", "Resume the held response", footer=True, changes=True),
    Command("holding.resume-all", "A", "Resume all", "Resume all held responses", changes=True),
    Command("holding.abort", "X", "Abort", "Abort by resetting the connection", footer=True, changes=True),
    Command("holding.edit", "e", "Edit", "Edit the status and headers", footer=True, changes=True),
    Command("holding.breakpoints", "i", "Breakpoints", "Show, add or remove breakpoints", footer=True),
    Command(
        "holding.toggle-breakpoints",
        "I",
        "Toggle breakpoints",
        "Enable or disable all breakpoints",
        changes=True,
    ),
    Command(
        "breakpoints.add", "enter", "Add", "Add the breakpoint", footer=True, priority=True, changes=True
    ),
    Command("breakpoints.complete", "tab", "Complete", "Accept the suggestion", footer=True),
    Command("breakpoints.previous", "up", "Previous", "Go to the previous breakpoint", "choose(-1)"),
    Command("breakpoints.next", "down", "Next", "Go to the next breakpoint", "choose(1)"),
    Command("breakpoints.remove", "ctrl+r", "Remove", "Remove the breakpoint", footer=True, changes=True),
    Command(
        "breakpoints.switch",
        "ctrl+t",
        "Toggle all",
        "Enable or disable all breakpoints",
        footer=True,
        changes=True,
    ),
    Command("breakpoints.close", "escape", "Close", "Close the dialogue", footer=True),
    Command("edit.send", "ctrl+s", "Send", "Send the edited response", footer=True, changes=True),
    Command("edit.cancel", "escape", "Cancel", "Discard the edits and keep holding", footer=True),
    Command("log.level", "l", "Change level", "Change which levels are shown", footer=True),
    Command("log.follow", "F", "Follow", "Follow new lines, or stop", footer=True),
    Command("document.close", "escape,q", "Close", "Close the document", footer=True),
    Command("confirm.yes", "y,enter", "Yes", "Confirm the action", footer=True),
    Command("confirm.no", "n,escape,q", "No", "Cancel the action", footer=True),
    Command("ask.answer", "enter", "OK", "Accept the input", footer=True, priority=True),
    Command("ask.cancel", "escape", "Cancel", "Discard the input", footer=True),
    Command(
        "overrides.switch",
        "space,enter",
        "Toggle",
        "Enable or disable the override",
        footer=True,
        changes=True,
    ),
    Command("overrides.edit", "e", "Edit", "Edit and enable the override", footer=True, changes=True),
    Command("overrides.close", "escape,!,q", "Close", "Close the dialogue", footer=True),
    Command("choose.choose", "enter", "Choose", "Choose the selected row", footer=True, priority=True),
    Command("choose.down", "down,tab", "Down", "Go to the next row", "move(1)"),
    Command("choose.up", "up,shift+tab", "Up", "Go to the previous row", "move(-1)"),
    Command("image.client", "ctrl+t", "Next client", "Show the command for the next client", footer=True),
    Command("filters.remove", "ctrl+r", "Remove", "Remove the filter and all its names", footer=True),
    Command("choose.cancel", "escape", "Cancel", "Close without choosing", footer=True),
    Command("form.submit", "enter", "OK", "Add or change the rule", footer=True, priority=True, changes=True),
    Command("form.next", "down,tab", "Next", "Go to the next field", footer=True),
    Command("form.previous", "up,shift+tab", "Previous", "Go to the previous field"),
    Command("form.cancel", "escape", "Cancel", "Discard the changes to the rule", footer=True),
    Command("file.submit", "enter", "Load or save", "Load or save the file", footer=True, priority=True),
    Command("seen.go", "tab", "Expectations", "Go to the expectations, or back", footer=True, priority=True),
    Command("seen.tick", "space", "Include", "Include or exclude the expectation", footer=True),
    Command("seen.tick-all", "ctrl+a", "Include all", "Include all expectations, or none"),
    Command("file.cancel", "escape", "Cancel", "Close without loading or saving", footer=True),
    Command("open.open", "enter", "Open", "Open the file", footer=True, priority=True),
    Command("open.complete", "tab", "Complete", "Complete the path", footer=True, priority=True),
    Command("open.cancel", "escape", "Cancel", "Close without opening a file", footer=True),
    Command("opened.close", "escape,q", "Close", "Go back, or close the file", footer=True),
    Command("help.search", "/", "Search", "Search by name, key or meaning", footer=True),
    Command("help.close", "escape,?,q", "Close", "Clear the search, or close", footer=True),
    Command("commands.copy", "y", "Copy", "Copy the command", footer=True),
    Command("commands.copy-all", "Y", "Copy all", "Copy all commands as a shell script", footer=True),
    Command("commands.save", "s", "Save", "Save all commands as a shell script", footer=True),
    Command("commands.close", "escape,q,L", "Close", "Close the command log", footer=True),
    Command("panel.overrides", "!", "Overrides", "Apply faults to every request", footer=True),
    Command("panel.disable-all", "0", "Disable all", "Disable all rules, or re-enable them", changes=True),
    Command("panel.replica", "*", "Show replica", "Show another replica, or all of them"),
    Command("panel.open-file", "ctrl+o", "Open file", "Show a HAR file or a log of exchanges"),
    Command("panel.help", "?", "Help", "Show all commands and their keys", footer=True),
    Command(
        "panel.palette",
        "ctrl+p",
        "Palette",
        "Find a command by name, and run it",
        "command_palette",
        footer=True,
    ),
    Command("panel.next-pane", "tab", "Next area", "Move the focus to the next area", "focus_next"),
    Command(
        "panel.previous-pane",
        "shift+tab",
        "Previous area",
        "Move the focus to the previous area",
        "focus_previous",
    ),
    Command("panel.theme", "t", "Change theme", "Switch to the next theme"),
    Command("panel.undo", "ctrl+z", "Undo", "Undo the last change to the rules", changes=True),
    Command("panel.redo", "ctrl+y", "Redo", "Redo the change you last undid", changes=True),
    Command("panel.commands", "L", "Command log", "List what you did, as commands"),
    Command("panel.quit", "q", "Quit", "Go back, or quit if nothing is open", footer=True),
    Command("panel.quit-now", "Q", "Quit now", "Quit without asking"),
    Command(
        "panel.interrupt", "ctrl+c", "Quit anywhere", "Quit; press twice to skip questions", priority=True
    ),
)

FOOTER_FIRST = (
    "holding.resume",
    "holding.step",
    "holding.abort",
    "holding.edit",
    "holding.hold",
    "holding.breakpoints",
    "traffic.fail-next",
)
"""The commands that come first in the footer, while they are available. The others follow."""

BY_ID: Mapping[str, Command] = {command.id: command for command in COMMANDS}


def meet(one: Command, other: Command) -> bool:
    """Return whether both can be available together, so that they need different keys."""
    return not area(one.area).places.isdisjoint(area(other.area).places)


def keys_of(command: Command, keys: Mapping[str, str]) -> list[str]:
    """Return the keys of a command; `keys` has those that the user has changed, by id."""
    return keys.get(command.id, command.keys).split(",")


def grouped() -> Iterator[tuple[str, list[Command]]]:
    """Return the commands by group, in the order of the table."""
    order = list(dict.fromkeys(command.group for command in COMMANDS))
    in_order = sorted(COMMANDS, key=lambda command: order.index(command.group))
    for group, commands in groupby(in_order, key=lambda command: command.group):
        yield group, list(commands)
