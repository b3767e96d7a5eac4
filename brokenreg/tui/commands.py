"""All that the panel can be told, in one table.

Keys, footer, palette, help screen and documentation come from it. Free of Textual; `bindings.py` makes
bindings of it. `python -m brokenreg.tui.commands` prints the table of docs/panel.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby

TABS = ("traffic", "faults", "blobs", "tags", "log")
"""In order. The commands `tab.<name>` choose them; `tabs.py` says what they show."""

AREAS: Mapping[str, frozenset[str]] = {
    "panel": frozenset(TABS),
    "tab": frozenset(TABS),
    "move": frozenset({*TABS, "help", "document", "export", "overrides"}),
    "traffic": frozenset({"traffic"}),
    "filter": frozenset({"filter"}),
    "faults": frozenset({"faults"}),
    "blobs": frozenset({"blobs"}),
    "tags": frozenset({"tags"}),
    "tree": frozenset({"tags"}),
    "export": frozenset({"export"}),
    "holding": frozenset({"traffic"}),
    "breakpoints": frozenset({"breakpoints"}),
    "edit": frozenset({"edit"}),
    "log": frozenset({"log"}),
    "document": frozenset({"document"}),
    "confirm": frozenset({"confirm"}),
    "ask": frozenset({"ask"}),
    "overrides": frozenset({"overrides"}),
    "choose": frozenset({"choose"}),
    "form": frozenset({"form"}),
    "file": frozenset({"file"}),
    "help": frozenset({"help"}),
}
"""Areas of the panel, and the tabs and dialogues in which their commands are in force.

No key has two meanings where two areas meet.
"""


@dataclass(frozen=True, slots=True)
class Command:
    """One row. `id` is AREA.NAME, which is also its name in the `[keys]` table of the configuration file.

    `keys` are one or several with commas between, the first of them shown. `help` is one line. `group` is the
    heading under which the help shows it. It calls `action_<name>` of what has the area's bindings, unless
    `does` names another action. `in_footer` commands are shown there while they would do something.
    """

    id: str
    keys: str
    title: str
    help: str
    group: str
    does: str = ""
    in_footer: bool = False
    is_priority: bool = False

    @property
    def area(self) -> str:
        return self.id.partition(".")[0]

    @property
    def action(self) -> str:
        return self.does or self.id.partition(".")[2].replace("-", "_")

    @property
    def action_name(self) -> str:
        """Its action without parameters."""
        return self.action.partition("(")[0]


COMMANDS: tuple[Command, ...] = (
    Command("tab.traffic", "1", "Traffic", "show the exchanges", "Tabs", "show_tab('traffic')"),
    Command("tab.faults", "2", "Faults", "show the rules in force", "Tabs", "show_tab('faults')"),
    Command("tab.blobs", "3", "Blobs", "show all blobs", "Tabs", "show_tab('blobs')"),
    Command("tab.tags", "4", "Tags", "show repositories and their tags", "Tabs", "show_tab('tags')"),
    Command("tab.log", "5", "Log", "show the server's own log", "Tabs", "show_tab('log')"),
    Command("move.down", "j,down", "Down", "one line down", "Moving", "move(1)"),
    Command("move.up", "k,up", "Up", "one line up", "Moving", "move(-1)"),
    Command("move.first", "g,home", "First", "to the first line", "Moving"),
    Command("move.last", "G,end", "Last", "to the last line", "Moving"),
    Command("move.page-down", "pagedown,ctrl+f", "Page down", "one screen down", "Moving", "page(1)"),
    Command("move.page-up", "pageup,ctrl+b", "Page up", "one screen up", "Moving", "page(-1)"),
    Command(
        "traffic.open",
        "enter",
        "Detail",
        "show the exchange or pull in full",
        "Traffic",
        in_footer=True,
    ),
    Command("traffic.back", "escape", "Back", "back to the list", "Traffic", in_footer=True),
    Command(
        "traffic.last-pane",
        "h,left",
        "Pane before",
        "detail: headers, body, timeline, why",
        "Traffic",
        "pane(-1)",
    ),
    Command(
        "traffic.next-pane",
        "l,right",
        "Pane",
        "detail: the pane after",
        "Traffic",
        "pane(1)",
        in_footer=True,
    ),
    Command(
        "traffic.follow", "F", "Follow", "go along with what comes, or do not", "Traffic", in_footer=True
    ),
    Command(
        "traffic.filter",
        "/",
        "Filter",
        "only some: status:5xx ep:blob",
        "Traffic",
        in_footer=True,
    ),
    Command("traffic.filter-toggle", "\\", "Filter on/off", "all of them again, and back", "Traffic"),
    Command("traffic.expand", "space", "Fold", "fold a pull or push, or unfold it", "Traffic"),
    Command("traffic.groups", "u", "Group", "pulls and pushes under headings, or not", "Traffic"),
    Command("traffic.mark", "m", "Mark", "mark it, at a heading all, or no more", "Traffic"),
    Command("traffic.next-marked", "'", "Next mark", "to the next that is marked", "Traffic", "go_marked(1)"),
    Command(
        "traffic.last-marked", '"', "Mark before", "to the marked one before", "Traffic", "go_marked(-1)"
    ),
    Command("traffic.clear-marks", "U", "Unmark all", "mark nothing any more", "Traffic"),
    Command("traffic.noise", "f", "Fewer", "hide pings, tokens, probes that went well", "Traffic"),
    Command("traffic.waterfall", "w", "Waterfall", "bars that show when each was, or not", "Traffic"),
    Command("filter.apply", "enter", "Apply", "show what the filter lets pass", "Filter", in_footer=True),
    Command("filter.complete", "tab", "Complete", "take the suggestion", "Filter", in_footer=True),
    Command("filter.leave", "escape", "Leave", "leave the filter as it was", "Filter", in_footer=True),
    Command(
        "traffic.fail-next",
        "n",
        "Fail next",
        "let the next one like this fail",
        "Traffic",
        in_footer=True,
    ),
    Command("traffic.fail-next-with", "N", "Fail with", "the same, with a fault to choose", "Traffic"),
    Command("faults.create", "c", "New", "choose a fault and make a rule of it", "Faults", in_footer=True),
    Command("faults.open", "enter", "Edit", "change the rule", "Faults", in_footer=True),
    Command("faults.switch", "space", "On/off", "enable or disable the rule", "Faults", in_footer=True),
    Command("faults.delete", "d", "Delete", "remove the rule, after asking", "Faults", in_footer=True),
    Command("faults.earlier", "K", "Earlier", "have the rule asked one place earlier", "Faults"),
    Command("faults.later", "J", "Later", "have the rule asked one place later", "Faults"),
    Command("faults.load", "o", "Load", "load a scenario file", "Faults", in_footer=True),
    Command("faults.save", "W,ctrl+s", "Save", "save the rules as a scenario file", "Faults", in_footer=True),
    Command("blobs.open", "enter", "Open", "show what is in the blob", "Blobs", in_footer=True),
    Command("blobs.back", "escape", "Back", "back to the list, or to all of it", "Blobs", in_footer=True),
    Command("blobs.search", "/", "Search", "by digest, kind, origin, place", "Blobs", in_footer=True),
    Command("blobs.sort", "o", "Order", "by size, by last use, by name", "Blobs", in_footer=True),
    Command("blobs.verify", "v", "Verify", "check its digest, or stop checking", "Blobs", in_footer=True),
    Command("blobs.corrupt", "C", "Corrupt", "a rule corrupts it for clients, or no more", "Blobs"),
    Command("blobs.delete", "d", "Delete", "from all repositories, if you say yes", "Blobs", in_footer=True),
    Command("blobs.copy", "y", "Copy", "copy its digest", "Blobs"),
    Command("tree.expand", "space", "Expand", "show what is below, or hide it", "Trees", in_footer=True),
    Command("tree.right", "right,l", "Into", "show what is below, then go there", "Trees"),
    Command("tree.left", "left,h", "Out of", "hide it, or go to what it is below", "Trees"),
    Command("tags.open", "enter", "Show", "show the manifest, index or config", "Tags", in_footer=True),
    Command("tags.back", "escape", "All", "end the search, and show all names again", "Tags", in_footer=True),
    Command("tags.search", "/", "Search", "show names and tags that have a word", "Tags", in_footer=True),
    Command("tags.copy", "y", "Copy", "copy the command that pulls it", "Tags", in_footer=True),
    Command("tags.copy-next", "Y", "Next client", "the same for podman, skopeo, docker", "Tags"),
    Command("tags.retag", "R", "Tag", "give it another tag", "Tags", in_footer=True),
    Command("tags.delete", "d", "Delete", "delete the tag or manifest, after asking", "Tags", in_footer=True),
    Command("traffic.replay", "r", "Replay", "send it again, without credentials", "Traffic"),
    Command("traffic.export", "x", "Export", "as curl, HAR or a rule", "Traffic", in_footer=True),
    Command("traffic.copy", "y", "Copy", "copy the digest, or the reference", "Traffic"),
    Command(
        "export.last-form",
        "h,left",
        "Form before",
        "curl, HAR of this, all or marked, rule",
        "Export",
        "form(-1)",
    ),
    Command("export.next-form", "l,right", "Form", "the form after", "Export", "form(1)", in_footer=True),
    Command("export.copy", "y", "Copy", "copy it to the clipboard", "Export", in_footer=True),
    Command("export.save", "s", "Save", "write it to a file", "Export", in_footer=True),
    Command("export.leave", "escape", "Back", "back without more", "Export", in_footer=True),
    Command("holding.hold", "p", "Hold", "hold the response where it is", "Holding", in_footer=True),
    Command("holding.step", "s", "Step", "let one chunk of it go", "Holding", in_footer=True),
    Command("holding.step-size", "S", "Step size", "how much a step is", "Holding"),
    Command("holding.resume", "a", "Go", "let it go on to its end", "Holding", in_footer=True),
    Command("holding.resume-all", "A", "Go all", "let all that is held go on", "Holding"),
    Command("holding.abort", "X", "Abort", "cut it with a reset", "Holding", in_footer=True),
    Command(
        "holding.edit",
        "e",
        "Edit",
        "edit its status and headers, unsent yet",
        "Holding",
        in_footer=True,
    ),
    Command(
        "holding.breakpoints", "i", "Breakpoints", "hold every response that matches a filter", "Holding"
    ),
    Command(
        "holding.toggle-breakpoints", "I", "Breakpoints on", "switch all breakpoints on or off", "Holding"
    ),
    Command(
        "breakpoints.add",
        "enter",
        "Set",
        "set the breakpoint that was typed",
        "Breakpoints",
        in_footer=True,
        is_priority=True,
    ),
    Command("breakpoints.last", "up", "Up", "to the breakpoint before", "Breakpoints", "choose(-1)"),
    Command("breakpoints.next", "down", "Down", "to the next breakpoint", "Breakpoints", "choose(1)"),
    Command(
        "breakpoints.remove",
        "ctrl+r",
        "Remove",
        "remove the chosen breakpoint",
        "Breakpoints",
        in_footer=True,
    ),
    Command(
        "breakpoints.toggle",
        "ctrl+t",
        "On/off",
        "switch all breakpoints on or off",
        "Breakpoints",
        "toggle_breakpoints",
        in_footer=True,
    ),
    Command("breakpoints.close", "escape", "Close", "close the dialogue", "Breakpoints", in_footer=True),
    Command("edit.send", "ctrl+s", "Send", "let it go on with what was typed", "Edit", in_footer=True),
    Command("edit.cancel", "escape", "Cancel", "leave it as it was, and held", "Edit", in_footer=True),
    Command("log.level", "l", "Level", "show all, warnings and errors, or errors", "Log", in_footer=True),
    Command("log.follow", "F", "Follow", "go along with what comes, or do not", "Log", in_footer=True),
    Command("document.close", "escape,q", "Close", "close the document", "Dialogues", in_footer=True),
    Command("confirm.yes", "y,enter", "Yes", "do it", "Dialogues", in_footer=True),
    Command("confirm.no", "n,escape", "No", "leave all as it is", "Dialogues", in_footer=True),
    Command(
        "ask.answer", "enter", "OK", "take what was typed", "Dialogues", in_footer=True, is_priority=True
    ),
    Command("ask.cancel", "escape", "Cancel", "forget what was typed", "Dialogues", in_footer=True),
    Command("overrides.switch", "space,enter", "On/off", "switch it on or off", "Overrides", in_footer=True),
    Command("overrides.edit", "e", "Edit", "set it in a form, and switch it on", "Overrides", in_footer=True),
    Command("overrides.close", "escape,!,q", "Close", "close the overrides", "Overrides", in_footer=True),
    Command(
        "choose.take", "enter", "Choose", "take this fault", "Dialogues", in_footer=True, is_priority=True
    ),
    Command("choose.down", "down,tab", "Down", "to the next fault", "Dialogues", "move(1)"),
    Command("choose.up", "up,shift+tab", "Up", "to the fault before", "Dialogues", "move(-1)"),
    Command("choose.cancel", "escape", "Cancel", "take none", "Dialogues", in_footer=True),
    Command(
        "form.take", "enter", "OK", "put the rule in force", "Dialogues", in_footer=True, is_priority=True
    ),
    Command("form.next", "down,tab", "Next", "to the next field", "Dialogues", in_footer=True),
    Command("form.last", "up,shift+tab", "Before", "to the field before", "Dialogues"),
    Command("form.cancel", "escape", "Cancel", "leave all as it was", "Dialogues", in_footer=True),
    Command("file.take", "enter", "OK", "take the file", "Dialogues", in_footer=True, is_priority=True),
    Command("file.cancel", "escape", "Cancel", "leave the files alone", "Dialogues", in_footer=True),
    Command("help.close", "escape,?,q", "Close", "close the help", "Help", in_footer=True),
    Command("panel.overrides", "!", "Overrides", "faults for every request", "Panel", in_footer=True),
    Command("panel.all-off", "0", "All off", "all faults off, or on again", "Panel"),
    Command("panel.help", "?", "Help", "all commands and their keys", "Panel", in_footer=True),
    Command(
        "panel.palette",
        "ctrl+p",
        "Commands",
        "find a command by its name",
        "Panel",
        "command_palette",
        in_footer=True,
    ),
    Command("panel.next-pane", "tab", "Next pane", "to the next pane", "Panel", "focus_next"),
    Command("panel.last-pane", "shift+tab", "Last pane", "to the pane before", "Panel", "focus_previous"),
    Command("panel.theme", "t", "Theme", "dark, light, or the terminal's 16 colours", "Panel"),
    Command("panel.quit", "q", "Quit", "stop the registry and leave", "Panel", in_footer=True),
    Command(
        "panel.interrupt", "ctrl+c", "Quit", "the same, from anywhere", "Panel", "quit", is_priority=True
    ),
)

BY_ID: Mapping[str, Command] = {command.id: command for command in COMMANDS}


def meet(one: Command, other: Command) -> bool:
    """Whether both can be in force at once, so that they need different keys."""
    return not AREAS[one.area].isdisjoint(AREAS[other.area])


def keys_of(command: Command, keys: Mapping[str, str]) -> list[str]:
    """Its keys, as people have chosen them: `keys` are other keys by id."""
    return keys.get(command.id, command.keys).split(",")


def grouped() -> Iterator[tuple[str, list[Command]]]:
    """The commands by group, groups in the order of the table."""
    order = list(dict.fromkeys(command.group for command in COMMANDS))
    in_order = sorted(COMMANDS, key=lambda command: order.index(command.group))
    for group, commands in groupby(in_order, key=lambda command: command.group):
        yield group, list(commands)


def markdown() -> str:
    """The table, as docs/panel.md has it."""
    lines = ["| keys | command | what it does |", "| --- | --- | --- |"]
    for group, commands in grouped():
        lines.append(f"| **{group}** | | |")
        for command in commands:
            keys = " ".join(f"`{key}`" for key in command.keys.split(","))
            lines.append(f"| {keys.replace('|', chr(92) + '|')} | `{command.id}` | {command.help} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown())
