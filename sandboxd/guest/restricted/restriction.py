"""A session of restricted code: one namespace's builtins, and the programs that run in it."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, Dict, List

from sandboxd.guest.restricted import facades, files, program, table, tools

if TYPE_CHECKING:
    from types import CodeType

_OURS = ("display", "final_answer")  # what the guest put among Python's own builtins


class Restriction:
    """The builtins that all cells of a restricted session share."""

    __slots__ = ("_builtins", "_offered")

    def __init__(self, workdir: str) -> None:
        facades.confine_imports()
        self._builtins = table.make()
        self._offered: Dict[str, Any] = {}
        files.confine(workdir)
        self._builtins["open"] = facades.frozen_callable("open", files.open_file)
        for name in _OURS:
            given = getattr(builtins, name, None)
            if given is not None:
                self._builtins[name] = facades.frozen_callable(name, given)

    @staticmethod
    def move(workdir: str) -> None:
        """Let programs have files in another work directory, and no longer in the last one."""
        files.confine(workdir)

    def prepare(self, names: Dict[str, Any]) -> None:
        """Make a namespace restricted, or put back what makes it so."""
        program.prepare(names, self._builtins)

    def offer(self, functions: Dict[str, Any], errors: Dict[str, Any], text: str) -> None:
        """Give programs these tools, in place of those they had."""
        for name in self._offered:
            del self._builtins[name]
        self._offered = tools.members(functions, errors, text)
        self._builtins.update(self._offered)

    @staticmethod
    def load(compiled: bytes, filename: str) -> List[CodeType]:
        """Read a program.

        Raises:
            ProgramError: it is none of this guest's.
        """
        return program.load(compiled, filename)
