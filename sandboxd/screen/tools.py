"""What the screen knows of a session's tools: signatures for the screener process, and which names snippets took over.

Signatures come from the tenant and go to a process that is locked in; they decide about hints and denials of the tenant's
own snippets and about nothing else. Tools that are not understood are not checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from sandboxd.events import ToolCallers
from sandboxd.screen.engine.tools import ANY_NAME, OBJECT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sandboxd.events import ToolSpec

_MAX_FORM_BYTES = 512 * 1024
_MAX_TAKEN = 4096

_Form: TypeAlias = "list[str | list[str] | bool]"


@dataclass(frozen=True, slots=True)
class Signatures:
    """The tools as a screener process reads them, at one moment of a session.

    Attributes:
        form: one list a tool (`sandboxd.screen.engine.tools.Toolbox`).
        shadowed: of the tools' names and `tools`, those that earlier snippets may have bound; `*` for all.
        digest: of both; a verdict depends on it.
    """

    form: tuple[_Form, ...]
    shadowed: tuple[str, ...] = ()
    digest: str = ""

    @classmethod
    def of(cls, specs: Iterable[ToolSpec], shadowed: Iterable[str] = ()) -> Signatures | None:
        """Read checked specifications; None where there is nothing to check, or more than the screen looks at."""
        try:
            form = tuple(_form_of(spec) for spec in specs)
        except (ValueError, TypeError, AttributeError, RecursionError):
            return (
                None  # the daemon takes no such specification; if it did, it is no reason to deny a snippet
            )
        names = tuple(sorted(shadowed))
        text = json.dumps([form, names])
        if not form or len(text) > _MAX_FORM_BYTES:
            return None
        return cls(form, names, hashlib.sha256(text.encode()).hexdigest())

    def concern(self, code: str) -> bool:
        """Say whether a text may call a tool at all: most of a session's snippets do not, and share their verdicts."""
        return OBJECT in code or not code.isascii() or any(str(name) in code for name, *_ in self.form)

    def question(self) -> dict[str, Any]:
        """Return what a screener process is told."""
        return {"tools": self.form, "shadowed": self.shadowed}


class SessionNames:
    """A session's tools and the names that its snippets took. Mutable, of the event loop; the session owns it."""

    __slots__ = ("_signatures", "_specs", "_taken")

    def __init__(self, specs: Iterable[ToolSpec] = (), taken: Iterable[str] = ()) -> None:
        self._specs = tuple(specs)
        self._taken = set(taken)
        self._signatures = self._made()

    @property
    def signatures(self) -> Signatures | None:
        """What the next snippet is checked against."""
        return self._signatures

    def register(self, specs: Iterable[ToolSpec]) -> None:
        """Replace the tools. What snippets bound before stays bound, whatever the guest makes of it."""
        self._specs = tuple(specs)
        self._signatures = self._made()

    def take(self, names: Iterable[str]) -> None:
        """Note what a snippet that runs may bind. A claim of a screener process: it can but switch checks off."""
        before = self._shadowed()
        self._taken.update(names)
        if len(self._taken) > _MAX_TAKEN or ANY_NAME in self._taken:
            self._taken = {ANY_NAME}
        if self._shadowed() != before:
            self._signatures = self._made()

    def copy(self) -> SessionNames:
        """Return the state that a clone starts with."""
        return SessionNames(self._specs, self._taken)

    def _shadowed(self) -> set[str]:
        return self._taken & {ANY_NAME, OBJECT, *(spec.name for spec in self._specs)}

    def _made(self) -> Signatures | None:
        return Signatures.of(self._specs, self._shadowed()) if self._specs else None


def _form_of(spec: ToolSpec) -> _Form:
    schema = json.loads(spec.parameters_json)
    parameters = list(schema.get("properties", {}))
    required = [name for name in schema.get("required", []) if name in parameters]
    more = schema.get("additionalProperties", False) is not False
    return [spec.name, parameters, required, more, spec.is_async, spec.callers is not ToolCallers.DIRECT]
