"""Makes a failing program small: statements are deleted as long as it still fails the same way."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

_BODIES = ("body", "orelse", "finalbody", "handlers", "cases")


def shrink(source: str, fails: Callable[[str], bool], *, tries: int = 400) -> str:
    """Delete statements, largest first, until none can go or `tries` are used up.

    Args:
        fails: says whether a program still shows what was found; it is called for each candidate.
    """
    best = source
    progress = True
    while progress and tries > 0:
        progress = False
        for candidate in _smaller(best):
            tries -= 1
            if tries <= 0:
                break
            if len(candidate) < len(best) and fails(candidate):
                best, progress = candidate, True
                break
    return best


def _smaller(source: str) -> Iterator[str]:
    """Yield the program without one statement, or with a block in the place of what holds it."""
    count = sum(1 for _ in _places(ast.parse(source)))
    for number in range(count):
        for way in ("drop", "lift"):
            tree = ast.parse(source)
            body, index = next(place for at, place in enumerate(_places(tree)) if at == number)
            inner = getattr(body[index], "body", None)
            if way == "drop":
                replacement: list[ast.AST] = [] if len(body) > 1 else [ast.Pass()]
            elif isinstance(inner, list) and not isinstance(body[index], ast.FunctionDef | ast.ClassDef):
                replacement = inner
            else:
                continue
            body[index : index + 1] = replacement
            try:
                yield ast.unparse(ast.fix_missing_locations(tree)) + "\n"
            except ValueError:
                continue


def _places(tree: ast.AST) -> Iterator[tuple[list[ast.AST], int]]:
    """Yield every list of statements with an index into it, outer and later ones first: these hold the most."""
    waiting = [tree]
    while waiting:
        node = waiting.pop(0)
        for name in _BODIES:
            body = getattr(node, name, None)
            if not isinstance(body, list):
                continue
            if name not in ("handlers", "cases"):
                yield from ((body, index) for index in reversed(range(len(body))))
            waiting += body
