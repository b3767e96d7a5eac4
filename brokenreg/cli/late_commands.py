"""Commands that are imported when they are needed: a third of the time of a short command is their import."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from importlib import import_module

import click


class LateCommands(MutableMapping[str, click.Command]):
    """Commands by name. `modules` has the module of each command, in `brokenreg.cli`."""

    def __init__(self, modules: Mapping[str, str]) -> None:
        self._modules = modules
        self._imported: dict[str, click.Command] = {}

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._imported:
            module = import_module(f"brokenreg.cli.{self._modules[name]}")
            self._imported[name] = getattr(module, name)
        return self._imported[name]

    def __iter__(self) -> Iterator[str]:
        yield from dict.fromkeys((*self._modules, *self._imported))

    def __len__(self) -> int:
        return len(list(iter(self)))

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._imported[name] = command

    def __delitem__(self, name: str) -> None:
        del self._imported[name]
