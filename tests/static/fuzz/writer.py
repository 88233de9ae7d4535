"""What the two generators share: weighted productions, coverage, lines with indentation, names by the kind of their value."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

Method = TypeVar("Method", bound=Callable[..., Any])


def production(sort: str, weight: float = 1.0) -> Callable[[Method], Method]:
    """Mark a method as one way to write a `sort` of thing."""

    def mark(method: Method) -> Method:
        method.production = (sort, weight)  # type: ignore[attr-defined]
        return method

    return mark


@dataclass(slots=True)
class Scope:
    """Names by kind. A function's scope sees its parents' names and may not store them without a declaration."""

    names: dict[str, list[str]] = field(default_factory=dict)
    function: bool = False
    loops: int = 0
    level: int = 0
    methods: bool = False


class Writer:
    """Writes one program. The same seed writes the same program."""

    sorts: dict[str, list[tuple[str, float]]]

    def __init_subclass__(cls) -> None:
        cls.sorts = {}
        for name in sorted({name for base in cls.__mro__ for name in vars(base)}):
            marked = getattr(getattr(cls, name), "production", None)
            if marked is not None:
                cls.sorts.setdefault(marked[0], []).append((name, marked[1]))

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.hit: Counter[str] = Counter()
        self.lines: list[str] = []
        self.depth = 0
        self.scopes = [Scope()]
        self._count = 0
        self._indent = 0

    @classmethod
    def productions(cls) -> set[str]:
        """Return the names of all productions."""
        return {name for marked in cls.sorts.values() for name, _ in marked}

    @property
    def scope(self) -> Scope:
        return self.scopes[-1]

    def write(self, sort: str, /, *args: Any) -> Any:
        """Write a `sort` of thing by one of its productions; deep ones choose among the first, which are leaves."""
        marked = self.sorts[sort]
        name = self.random.choices([one for one, _ in marked], [weight for _, weight in marked])[0]
        self.hit[name] += 1
        return getattr(self, name)(*args)

    def line(self, text: str) -> None:
        self.lines.append("    " * self._indent + text)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """Write a head and what is below it, indented."""
        self.line(head)
        self._indent += 1
        before = len(self.lines)
        yield
        if len(self.lines) == before:
            self.line("pass")
        self._indent -= 1

    @contextmanager
    def function_scope(self, **known: list[str]) -> Iterator[None]:
        """Write a function's body: its parameters are known, and it is one level nearer the ground."""
        self.scopes.append(Scope(dict(known), function=True, level=self.scope.level + 1))
        yield
        self.scopes.pop()

    def fresh(self, kind: str) -> str:
        """Return a name nobody has; it is not known yet."""
        self._count += 1
        return f"{kind}{self._count}"

    def know(self, kind: str, name: str) -> str:
        """Let later code use a name."""
        self.scope.names.setdefault(kind, []).append(name)
        return name

    def known(self, kind: str, *, own: bool = False) -> list[str]:
        """Return names of a kind; `own`: those that this scope may store."""
        scopes = [self.scope] if own else self.scopes
        return [name for scope in scopes for name in scope.names.get(kind, ())]

    def pick(self, *choices: str) -> str:
        return self.random.choice(choices)

    def chance(self, share: float) -> bool:
        return self.random.random() < share
