"""Constants that are made to burn: literals, powers, shifts, repetitions and ranges over the policy's budgets.

A lint on what stands in the text. Values that are computed at run time are the limits' affair.
"""

from __future__ import annotations

import ast
import re
from typing import Any

from .findings import Findings
from .inventory import Inventory
from .rules import Rules
from .scopes import Scope

_FOLD_DEPTH = 8
_FOLD_BITS = 4096  # larger values are not computed here
_HINT = "Compute it in smaller steps, or do without it."
# `f"{x:>10000000000}"`, `"%010000000000d" % x`: the width is a repetition in other words.
_WIDTH = re.compile(r"\d{7,20}")
_PERCENT = re.compile(r"%(?:\([^)]{0,100}\))?[-#0 +.\d]{0,10}?(\d{7,20})")
_PADS = frozenset({"ljust", "rjust", "center", "zfill"})
_BUFFERS = frozenset({"bytes", "bytearray"})
_EXHAUST = frozenset({"list", "tuple", "set", "frozenset", "sorted", "sum", "max", "min", "deque", "Counter"})


def check(inventory: Inventory, rules: Rules, found: Findings) -> None:
    """Check literals, constant operations, and loops over constant ranges."""
    for constant in inventory.constants:
        _check_literal(constant, rules, found)
    for operation in inventory.operations:
        check_operation = _OPERATIONS.get(type(operation.op))
        if check_operation is not None:
            left, right = _operands(operation)
            check_operation(left, right, rules.budgets, operation, found)
    for iterable in inventory.iterated:
        _check_range(iterable, rules, found)
    for call, scope in inventory.calls:
        _check_call(call, scope, rules, found)
    for spec in inventory.specs:
        _check_spec(spec, rules.budgets, found)


def _operands(node: ast.BinOp | ast.AugAssign) -> tuple[ast.expr | None, ast.expr]:
    return (node.left, node.right) if isinstance(node, ast.BinOp) else (None, node.value)


def _check_literal(node: ast.Constant, rules: Rules, found: Findings) -> None:
    value, budgets = node.value, rules.budgets
    if type(value) is int:
        if value.bit_length() > budgets["int_bits"]:
            # The value itself never enters the message: its repr is what CPython refuses to compute.
            message = f"an integer of {value.bit_length()} bits; the budget is {budgets['int_bits']}"
            found.add("integer-too-large", message, node=node, hint=_HINT)
    elif isinstance(value, (str, bytes)) and len(value) * 4 > budgets["string"]:
        size = len(value) if isinstance(value, bytes) else len(value.encode("utf-8", "surrogatepass"))
        if size > budgets["string"]:
            message = f"a literal of {size} bytes; the budget is {budgets['string']}"
            found.add("string-too-large", message, node=node, hint="Put data into a file in /work.")


def _check_power(
    left: ast.expr | None, right: ast.expr, budgets: dict[str, int], node: ast.AST, found: Findings
) -> None:
    base, exponent = _fold(left), fold(right)
    if base is None or exponent is None or exponent <= 0 or abs(base) < 2:  # noqa: PLR2004
        return
    bits = abs(base).bit_length() * exponent
    if bits > budgets["pow_bits"]:
        _report("power-too-large", f"a power of {_shown(bits)} bits", budgets["pow_bits"], node, found)


def _check_shift(
    left: ast.expr | None, right: ast.expr, budgets: dict[str, int], node: ast.AST, found: Findings
) -> None:
    value, distance = _fold(left), fold(right)
    if distance is not None and value != 0 and distance > budgets["shift_bits"]:
        _report("shift-too-large", f"a shift by {_shown(distance)} bits", budgets["shift_bits"], node, found)


def _check_repeat(
    left: ast.expr | None, right: ast.expr, budgets: dict[str, int], node: ast.AST, found: Findings
) -> None:
    for sequence, times in ((left, right), (right, left)):
        length, count = _length(sequence), _fold(times)
        if length and count is not None:
            _check_items(length * count, budgets, node, found)


def _check_percent(
    left: ast.expr | None, _: ast.expr, budgets: dict[str, int], node: ast.AST, found: Findings
) -> None:
    if isinstance(left, ast.Constant) and isinstance(left.value, str):
        for width in _PERCENT.findall(left.value):
            _check_items(int(width), budgets, node, found)


def _check_spec(spec: ast.expr, budgets: dict[str, int], found: Findings) -> None:
    for part in getattr(spec, "values", ()):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            for width in _WIDTH.findall(part.value):
                _check_items(int(width), budgets, part, found)


def _check_call(call: ast.Call, scope: Scope, rules: Rules, found: Findings) -> None:
    """The same operations by their functions' names."""
    func = call.func
    if isinstance(func, ast.Attribute):
        if func.attr in _PADS and call.args:
            _check_items(fold(call.args[0]) or 0, rules.budgets, call, found)
        name = func.attr if isinstance(func.value, ast.Name) and func.value.id == "operator" else ""
    else:
        name = func.id if isinstance(func, ast.Name) and scope.resolve(func.id) is None else ""
    if name in _BUFFERS and call.args:
        _check_items(fold(call.args[0]) or 0, rules.budgets, call, found)
    elif name in _EXHAUST and call.args:
        _check_range(call.args[0], rules, found)
    elif name in _BY_NAME and len(call.args) == 2:  # noqa: PLR2004  # pow with a modulus stays small
        _BY_NAME[name](call.args[0], call.args[1], rules.budgets, call, found)


def _check_items(count: int, budgets: dict[str, int], node: ast.AST, found: Findings) -> None:
    if count > budgets["repeat"]:
        what = f"a repetition to {_shown(count)} items"
        _report("repeat-too-large", what, budgets["repeat"], node, found)


def _check_range(node: ast.expr, rules: Rules, found: Findings) -> None:
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range"):
        return
    numbers = [fold(argument) for argument in node.args]
    if not 0 < len(numbers) <= 3 or None in numbers or 0 in numbers[2:]:  # noqa: PLR2004
        return
    # Not len(): it fails above the machine's word.
    span = range(*(number or 0 for number in numbers))
    count = (
        max(0, (span.stop - span.start) // span.step)
        if span.step > 0
        else (span.start - span.stop) // -span.step
    )
    if count > rules.budgets["range"]:
        what = f"a loop of {_shown(count)} steps"
        _report("range-too-large", what, rules.budgets["range"], node, found)


def _report(rule: str, what: str, budget: int, node: ast.AST, found: Findings) -> None:
    found.add(rule, f"{what}; the budget is {budget}", node=node, hint=_HINT)


def _shown(size: int) -> str:
    return str(size) if size.bit_length() <= 64 else f"about 2**{size.bit_length()}"  # noqa: PLR2004


def _length(node: ast.expr | None, depth: int = 0) -> int:
    """Return how many items a display, a literal or a constant repetition of one has; 0 if it is no sequence."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return max(1, len(node.elts))
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return len(node.value)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and depth < _FOLD_DEPTH:
        left = _length(node.left, depth + 1) * (fold(node.right) or 0)
        return left or _length(node.right, depth + 1) * (fold(node.left) or 0)
    return 0


def _fold(node: ast.expr | None) -> int | None:
    return None if node is None else fold(node)


def fold(node: ast.expr, depth: int = 0) -> int | None:
    """Compute a small constant integer expression; None if it is none, or not small."""
    if depth > _FOLD_DEPTH:
        return None
    if isinstance(node, ast.Constant):
        value = node.value
        return value if isinstance(value, int) and value.bit_length() <= _FOLD_BITS else None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.USub, ast.UAdd)):
        inner = fold(node.operand, depth + 1)
        return inner if inner is None or isinstance(node.op, ast.UAdd) else -inner
    if isinstance(node, ast.BinOp):
        return _fold_operation(node, depth)
    return None


def _fold_operation(node: ast.BinOp, depth: int) -> int | None:
    left, right = fold(node.left, depth + 1), fold(node.right, depth + 1)
    if left is None or right is None:
        return None
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    if isinstance(node.op, ast.Mult):
        return left * right
    small = 0 <= right <= _FOLD_BITS and max(1, left.bit_length()) * right <= _FOLD_BITS
    return int(left**right) if isinstance(node.op, ast.Pow) and small else None


_OPERATIONS: dict[type[ast.operator], Any] = {
    ast.Pow: _check_power,
    ast.LShift: _check_shift,
    ast.Mult: _check_repeat,
    ast.Mod: _check_percent,
}
_BY_NAME: dict[str, Any] = {
    "pow": _check_power,
    "ipow": _check_power,
    "lshift": _check_shift,
    "ilshift": _check_shift,
    "mul": _check_repeat,
    "imul": _check_repeat,
}
