"""One source text in, one answer out: parse, count, check every rule family, compile.

Never raises for any text. `compile` comes last because some errors only it finds (`return` outside a function, too many
nested blocks); its result is thrown away, the snippet's text is what runs.
"""

from __future__ import annotations

import ast
import re
import tokenize
import unicodedata
import warnings
from io import StringIO
from typing import Any

from . import calls, constants, modules, names, nodes, strings
from .findings import Findings, clip
from .inventory import Inventory, OverBudgetError
from .rules import Rules

FILENAME = "<cell>"
_FAMILIES = (nodes.check, names.check, modules.check, calls.check, strings.check, constants.check)
_GIVES_UP = (ValueError, RecursionError, MemoryError, OverflowError, SystemError)
_MAX_IMPORTS = 100
_WORD = re.compile(r"[^\W\d]\w*")


def analyse(source: str, rules: Rules) -> dict[str, Any]:
    """Return findings, imports, and whether this process should be replaced (it ran out of memory)."""
    found = Findings(source, rules.actions)
    imports: list[str] = []
    with warnings.catch_warnings():
        # A SyntaxWarning is not the policy's business, and must not become an error either.
        warnings.simplefilter("ignore")
        exhausted = _run(source, rules, found, imports)
    findings, truncated = found.worst()
    return {"findings": findings, "truncated": truncated, "imports": imports, "recycle": exhausted}


def _run(source: str, rules: Rules, found: Findings, imports: list[str]) -> bool:
    try:
        tree = ast.parse(source, FILENAME)
    except SyntaxError as error:
        _report_syntax(error, found, in_bytes=False)
        return False
    except _GIVES_UP as error:
        return _report_complex(error, found)
    try:
        _check(tree, source, rules, found, imports)
        compile(tree, FILENAME, "exec", dont_inherit=True)
    except OverBudgetError as error:
        hint = "Split it into smaller snippets; put data into a file in /work."
        found.add(
            error.rule,
            f"{error.rule.replace('-', ' ')} for policy {rules.policy}",
            node=error.node,
            hint=hint,
        )
    except SyntaxError as error:
        _report_syntax(error, found, in_bytes=True)
    except _GIVES_UP as error:
        return _report_complex(error, found)
    return False


def _check(tree: ast.Module, source: str, rules: Rules, found: Findings, imports: list[str]) -> None:
    inventory = Inventory(rules.budgets["nodes"], rules.budgets["depth"]).collect(tree)
    for family in _FAMILIES:
        family(inventory, rules, found)
    if not source.isascii():
        _check_identifiers(source, rules.text["nfkc"], found)
    imports += _imported(inventory)


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
    """Report the program's own error. The parser counts columns in code points, the compiler in UTF-8 bytes."""
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
