"""The operations that the control API and the panel share, so that both behave the same.

Each is a function or coroutine that takes a `Runtime`. If it cannot be carried out, it raises
`OperationError`, whose message says why in one line.
"""

from __future__ import annotations

from brokenreg.runtime.operations.blobs import (
    DeletedBlob,
    corrupt,
    corrupting_rules,
    delete_blob,
    evict_blob,
    stop_corrupting,
    verify,
)
from brokenreg.runtime.operations.filters import expects_repetitions, prepare_expectation, prepare_filter
from brokenreg.runtime.operations.holding import (
    add_breakpoint,
    carry_out,
    carry_out_all,
    clear_breakpoints,
    edit,
    hold,
    remove_breakpoint,
    set_breakpoints_enabled,
    waiting_head,
)
from brokenreg.runtime.operations.repositories import (
    delete_manifest,
    delete_repository,
    delete_tag,
    tag_manifest,
)
from brokenreg.runtime.operations.resets import forget_exchanges, reset
from brokenreg.runtime.operations.rules import (
    add_rule,
    check_registry,
    clear_rules,
    find_rule,
    load_scenario,
    move_rule,
    remove_rule,
    replace_rule,
    set_rule_enabled,
)

__all__ = [
    "DeletedBlob",
    "add_breakpoint",
    "add_rule",
    "carry_out",
    "carry_out_all",
    "check_registry",
    "clear_breakpoints",
    "clear_rules",
    "corrupt",
    "corrupting_rules",
    "delete_blob",
    "delete_manifest",
    "delete_repository",
    "delete_tag",
    "edit",
    "evict_blob",
    "expects_repetitions",
    "find_rule",
    "forget_exchanges",
    "hold",
    "load_scenario",
    "move_rule",
    "prepare_expectation",
    "prepare_filter",
    "remove_breakpoint",
    "remove_rule",
    "replace_rule",
    "reset",
    "set_breakpoints_enabled",
    "set_rule_enabled",
    "stop_corrupting",
    "tag_manifest",
    "verify",
    "waiting_head",
]
