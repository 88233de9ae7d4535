"""One source text in, one answer out: parse, count, check every rule family, compile.

Never raises for any text. Some errors only the compiler finds (`return` outside a function, too many nested blocks). Where
layer 2 is on, its program is what runs, made of the very tree that was checked; else the snippet's text is what runs, and
whoever asks for a verdict alone has it compiled for those errors.
"""

from __future__ import annotations

import ast
import re
import tokenize
import unicodedata
import warnings
from io import StringIO
from typing import Any

from . import calls, constants, modules, names, nodes, strings, tools
from .findings import Findings, clip
from .inventory import Inventory, OverBudgetError
from .restricting import Compiler
from .rules import Rules

FILENAME = "<cell>"
_FAMILIES = (nodes.check, names.check, modules.check, calls.check, strings.check, constants.check)
_GIVES_UP = (ValueError, RecursionError, MemoryError, OverflowError, SystemError)
_MAX_IMPORTS = 100
_WORD = re.compile(r"[^\W\d]\w*")


def analyse(
    source: str,
    rules: Rules,
    compiler: Compiler | None = None,
    *,
    compiled: bool = True,
    toolbox: tools.Toolbox | None = None,
) -> dict[str, Any]:
    """Return findings, imports, names bound, stats, and whether this process should be replaced (it ran out of memory).

    Args:
        source: the text.
        rules: the policy's.
        compiler: of layer 2; needed where the rules restrict, and then a text that passes gets its `program`.
        compiled: find also what only the compiler finds. Whoever runs the text next compiles it anyway.
        toolbox: the session's tools, where calls of them are to be checked.
    """
    with warnings.catch_warnings():
        # A SyntaxWarning is not the policy's business, and must not become an error either.
        warnings.simplefilter("ignore")
        return examine(source, rules, compiler, compiled=compiled, toolbox=toolbox)


def examine(
    source: str,
    rules: Rules,
    compiler: Compiler | None,
    *,
    compiled: bool,
    toolbox: tools.Toolbox | None = None,
) -> dict[str, Any]:
    """Do what `analyse` does, in a process that ignores warnings as a whole."""
    found = Findings(source, rules.actions)
    answer: dict[str, Any] = {"imports": [], "binds": [], "recycle": False, "stats": {"nodes": 0, "depth": 0}}
    in_bytes = False  # the parser counts columns in code points, the compiler in UTF-8 bytes
    try:
        tree = ast.parse(source, FILENAME)
        in_bytes = True
        inventory = _check(tree, source, rules, found, answer)
        if toolbox is not None:
            tools.check(tree, inventory, toolbox, found)
        if compiler is not None and rules.restricted and found.passes():
            answer["program"] = compiler.compile(source, tree, found)
        elif compiled:
            # As the guest does.
            compile(tree, FILENAME, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except OverBudgetError as error:
        hint = "Split it into smaller snippets; put data into a file in /work."
        message = f"{error.rule.replace('-', ' ')} for policy {rules.policy}"
        found.add(error.rule, message, node=error.node, hint=hint)
    except SyntaxError as error:
        _report_syntax(error, found, in_bytes=in_bytes)
    except _GIVES_UP as error:
        answer["recycle"] = _report_complex(error, found)
    answer["findings"], answer["truncated"] = found.worst()
    return answer


def _check(tree: ast.Module, source: str, rules: Rules, found: Findings, answer: dict[str, Any]) -> Inventory:
    inventory = Inventory(rules.budgets["nodes"], rules.budgets["depth"])
    try:
        inventory.collect(tree)
    finally:
        answer["stats"] = {"nodes": inventory.count, "depth": inventory.deepest}
    for family in _FAMILIES:
        family(inventory, rules, found)
    if not source.isascii():
        _check_identifiers(source, rules.text["nfkc"], found)
    answer["imports"] = _imported(inventory)
    answer["binds"] = tools.names_bound(inventory)
    return inventory


def _imported(inventory: Inventory) -> list[str]:
    paths: set[str] = set()
    for node, _ in inventory.imports:
        if isinstance(node, ast.Import):
            paths.update(alias.name for alias in node.names)
        elif node.module:
            paths.add(node.module)
    return sorted(clip(path) for path in paths)[:_MAX_IMPORTS]


def _check_identifiers(source: str, action: str, found: Findings) -> None:
    """Refuse names that Python reads as other ones: full-width letters look like a name of their own."""
    if all(unicodedata.normalize("NFKC", word) == word for word in _WORD.findall(source)):
        return
    try:
        for token in tokenize.generate_tokens(StringIO(source, newline="").readline):
            if token.type == tokenize.NAME and unicodedata.normalize("NFKC", token.string) != token.string:
                read_as = clip(unicodedata.normalize("NFKC", token.string))
                span = (token.start[0], token.start[1] + 1, token.end[0], token.end[1] + 1)
                message = f"Python reads this name as {read_as!r}"
                found.add(
                    "identifier-changes",
                    message,
                    span=span,
                    hint=f"Write {read_as}.",
                    symbol=read_as,
                    action=action,
                )
    except (tokenize.TokenError, SyntaxError):
        # The pure-Python tokenizer disagrees with the parser: nothing it says is to be trusted.
        message = "names in this text cannot be told apart"
        found.add("identifier-changes", message, hint="Use ASCII names.", action=action)


def _report_syntax(error: SyntaxError, found: Findings, *, in_bytes: bool) -> None:
    """Report the program's own error."""
    line, column = error.lineno or 1, error.offset or 1
    end_line, end_column = getattr(error, "end_lineno", None) or line, getattr(error, "end_offset", None) or 0
    if in_bytes:
        column, end_column = found.column(line, column - 1), found.column(end_line, max(end_column - 1, 0))
    end_line, end_column = max((end_line, end_column), (line, column))
    span = (max(line, 1), max(column, 1), max(end_line, 1), max(end_column, 1))
    found.add(
        "syntax-error", str(error.msg), span=span, hint="Correct the syntax.", symbol=type(error).__name__
    )


def _report_complex(error: BaseException, found: Findings) -> bool:
    """Report what the parser gave up on; say whether memory ran out."""
    hint = "Split it into smaller snippets with less nesting."
    found.add("source-too-complex", f"Python cannot parse this ({type(error).__name__})", hint=hint)
    return isinstance(error, MemoryError)
