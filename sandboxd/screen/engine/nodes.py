"""Syntax: every kind of node must be in a group that the policy allows.

Unknown kinds are in no group, so a new Python version adds nothing silently.
"""

from __future__ import annotations

import ast

from .findings import Findings
from .inventory import Inventory
from .rules import Rules

_GROUPS = {
    "@core": (
        "Module Expr Assign AugAssign Delete Pass Break Continue If For While Raise Try With Assert Import ImportFrom "
        "Global Nonlocal BoolOp NamedExpr BinOp UnaryOp IfExp Dict Set Compare Call FormattedValue JoinedStr Constant "
        "Attribute Subscript Starred Name List Tuple Slice ExceptHandler alias withitem keyword "
        "And Or Add Sub Mult MatMult Div Mod Pow LShift RShift BitOr BitXor BitAnd FloorDiv Invert Not UAdd USub "
        "Eq NotEq Lt LtE Gt GtE Is IsNot In NotIn"
    ),
    "@functions": "FunctionDef Lambda Return arguments arg",
    "@classes": "ClassDef",
    "@comprehensions": "ListComp SetComp DictComp GeneratorExp comprehension",
    "@generators": "Yield YieldFrom",
    "@match": (
        "Match match_case MatchValue MatchSingleton MatchSequence MatchMapping MatchClass MatchStar MatchAs MatchOr"
    ),
    "@annotations": "AnnAssign",
    "@async": "AsyncFunctionDef Await AsyncFor AsyncWith",
    # `except*` confused types in CPython 3.11-3.13: a policy has to ask for it.
    "@except-star": "TryStar",
    "@type-parameters": "TypeAlias TypeVar ParamSpec TypeVarTuple",
    "@template-strings": "TemplateStr Interpolation",
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names.split()}
_HINTS = {
    "TryStar": "Use a plain except.",
    "TypeAlias": "Write a plain assignment.",
    "AnnAssign": "Leave the annotation out.",
    "TemplateStr": "Use an f-string.",
    "Interpolation": "Use an f-string.",
}


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Report the first node of every kind that is not allowed."""
    for kind, node in inventory.kinds.items():
        name = kind.__name__
        if _GROUP_OF.get(name) in rules.node_groups:
            continue
        hint = _HINTS.get(name, "Write it with simpler syntax.")
        message = f"{_describe(kind)} is not allowed by policy {rules.policy}"
        found.add("syntax-not-allowed", message, node=node, hint=hint, symbol=name)


def _describe(kind: type[ast.AST]) -> str:
    group = _GROUP_OF.get(kind.__name__)
    return f"{kind.__name__} ({group})" if group else f"{kind.__name__} (unknown to this version)"
