"""Names and scopes, as far as a filter needs them.

Scopes follow Python's: a class body is invisible to the functions in it, a comprehension is a function whose first
iterable belongs outside, a walrus binds outside the comprehension. Binding is insensitive to order: a name that is bound
to a module anywhere in a scope is that module everywhere in it.
"""

from __future__ import annotations


class Binding:
    """What a name may be in one scope."""

    __slots__ = ("constant", "exception", "modules", "other")

    def __init__(self) -> None:
        self.modules: list[tuple[str, bool]] = []  # (dotted path, is surely a module)
        self.exception = False
        self.constant = False
        self.other = False

    def add(self, more: Binding) -> None:
        """Take in what another scope bound to the same name."""
        self.modules += more.modules
        self.exception |= more.exception
        self.constant |= more.constant
        self.other |= more.other


class Scope:
    """The names of a module, class, function or comprehension."""

    __slots__ = ("bindings", "foreign", "kind", "parent")

    def __init__(self, kind: str, parent: Scope | None = None) -> None:
        self.kind = kind
        self.parent = parent
        self.bindings: dict[str, Binding] = {}
        self.foreign: dict[str, str] = {}  # name -> "global" or "nonlocal"

    def bind(self, name: str) -> Binding:
        """Return the binding that an assignment here makes."""
        binding = self.bindings.get(name)
        if binding is None:
            binding = self.bindings[name] = Binding()
        return binding

    def settle(self) -> None:
        """Hand over what `global` and `nonlocal` names were bound to, once all of the scope is known."""
        for name in self.foreign:
            binding = self.bindings.pop(name, None)
            if binding is not None:
                self._home(name).bind(name).add(binding)

    def resolve(self, name: str) -> Binding | None:
        """Return what a name means here; None: a builtin, or bound by an earlier snippet of the session."""
        scope: Scope | None = self._home(name) if self.foreign else self
        first = True
        while scope is not None:
            if name in scope.bindings and (first or scope.kind != "class"):
                return scope.bindings[name]
            scope, first = scope.parent, False
        return None

    def module(self) -> Scope:
        """Return the outermost scope."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def _home(self, name: str) -> Scope:
        where = self.foreign.get(name)
        if where == "global":
            return self.module()
        scope = self
        while where == "nonlocal" and scope.parent is not None:
            scope = scope.parent
            if scope.kind != "class" and name in scope.bindings:
                break
        return scope
