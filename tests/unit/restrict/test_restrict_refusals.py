"""What the compiler refuses, where, and that it never raises."""

from __future__ import annotations

import ast
import marshal
from types import CodeType

import pytest

from sandboxd.guest.restricted import names as guest_names
from sandboxd.guest.restricted import program, table
from sandboxd.restrict import FORMAT, compile_program, names
from sandboxd.screen.engine.catalogue import RULES
from tests.unit.restrict.restricted import compiled, guarded, refused

pytestmark = pytest.mark.hardens

RULE = "restrict-refused"
REFUSED = {
    # attributes that lead out, by any way of writing them
    "x = 1\nx.__class__": (RULE, 2, 1),
    "().__class__.__base__": (RULE, 1, 1),
    "(lambda: 0).__globals__": (RULE, 1, 1),
    "def f(g):\n    return g.gi_frame": (RULE, 2, 12),
    "def f(e): return e.__traceback__": (RULE, 1, 18),
    "type.__subclasses__(object)": (RULE, 1, 1),
    "[].co_anything": (RULE, 1, 1),
    "x.f_back": (RULE, 1, 1),
    "int.mro()": (RULE, 1, 1),
    "x.foo__roles__": (RULE, 1, 1),
    "x.__dict__ = {}": (RULE, 1, 1),
    "del x.__code__": (RULE, 1, 5),
    "x.__code__ += 1": (RULE, 1, 1),
    "x.format += 1": (RULE, 1, 1),
    "for x.__class__ in y: pass": (RULE, 1, 5),
    "with a as x.__class__: pass": (RULE, 1, 11),
    "[0 for x.__class__ in y]": (RULE, 1, 8),
    "x.__class__: int = 3": (RULE, 1, 1),
    "f'{x.__class__}'": (RULE, 1, 4),
    "x.__w": (RULE, 1, 1),  # outside a class nothing mangles it
    "object.__new__(int)": (RULE, 1, 1),
    "super().__setattr__('a', 1)": (RULE, 1, 1),
    # names
    "__builtins__": (RULE, 1, 1),
    "__builtins__ = {}": (RULE, 1, 1),
    "__name__ = 'os'": (RULE, 1, 1),
    "def f(): return __class__": (RULE, 1, 17),
    "def f(__import__): pass": (RULE, 1, 1),
    "def f(_write_, /): pass": ("reserved-name", 1, 1),
    "def f(*_getattr_): pass": ("reserved-name", 1, 1),
    "lambda _getattr_: 1": ("reserved-name", 1, 1),
    "import math as _getitem_": ("reserved-name", 1, 8),
    "from math import pi as _getitem_": ("reserved-name", 1, 18),
    "try: pass\nexcept E as _print_: pass": ("reserved-name", 2, 1),
    "(_write_ := 1)": ("reserved-name", 1, 2),
    "def f():\n    global _getattr_": ("reserved-name", 2, 5),
    "def f():\n    global __builtins__": (RULE, 2, 5),
    "class _getattr_: pass": ("reserved-name", 1, 1),
    "def _getattr_(): pass": ("reserved-name", 1, 1),
    "match x:\n    case _getattr_: pass": ("reserved-name", 2, 10),
    "match x:\n    case [*_getattr_]: pass": ("reserved-name", 2, 11),
    "match x:\n    case {**_getattr_}: pass": ("reserved-name", 2, 10),
    "[_getattr_ for _getattr_ in x]": ("reserved-name", 1, 2),
    # builtins
    "eval('1')": ("builtin-not-allowed", 1, 1),
    "e = [exec][0]": ("builtin-not-allowed", 1, 6),
    "list(map(compile, x))": ("builtin-not-allowed", 1, 10),
    "__import__('os')": ("builtin-not-allowed", 1, 1),
    "globals()['x']": ("builtin-not-allowed", 1, 1),
    "vars(x)": ("builtin-not-allowed", 1, 1),
    "input()": ("builtin-not-allowed", 1, 1),
    # classes
    "class A:\n    def __del__(self): pass": (RULE, 2, 5),
    "class A:\n    def __getattribute__(self, n): pass": (RULE, 2, 5),
    "class A:\n    __reduce__ = 1": (RULE, 2, 5),
    "class A:\n    def __new__(cls): pass": (RULE, 2, 5),
    "class A:\n    import math as __subclasshook__": (RULE, 2, 12),
    "class A:\n    __class__ = int": (RULE, 2, 5),
    "class A:\n    gi_frame: int": (RULE, 2, 5),
    "class A:\n    __match_args__ = ('gi_frame',)": (RULE, 2, 5),
    "class A:\n    __match_args__ = x": (RULE, 2, 5),
    "class A(metaclass=print): pass": (RULE, 1, 9),
    # patterns
    "match x:\n    case str(format=f): pass": (RULE, 2, 10),
    "match x:\n    case E(obj=o): pass": (RULE, 2, 10),
    "match x:\n    case E(_hidden=o): pass": (RULE, 2, 10),
    "match x:\n    case E(__traceback__=o): pass": (RULE, 2, 10),
    "match x:\n    case a.__class__: pass": (RULE, 2, 10),
    "match x:\n    case {a._b: 1}: pass": (RULE, 2, 11),
    "match x:\n    case a._b(): pass": (RULE, 2, 10),
    # imports and rare syntax
    "from math import *": ("import-star", 1, 1),
    "from . import x": ("relative-import", 1, 1),
    "try: pass\nexcept* ValueError: pass": (RULE, 1, 1),
    # errors that only the compiler finds
    "x = 1\nreturn 5": ("syntax-error", 2, 1),
    "def f():\n    x = 1\n    nonlocal x": ("syntax-error", 3, 5),
}


@pytest.mark.parametrize("source", REFUSED)
def test_refused_with_line_and_column(source: str) -> None:
    found = refused(source)
    assert found[0] == REFUSED[source], found


def test_each_rule_is_in_the_screen_s_catalogue() -> None:
    assert {rule for rule, _, _ in REFUSED.values()} | {"source-too-complex"} <= RULES.keys()


@pytest.mark.parametrize(
    "source",
    [
        "x" + ".a" * 5000 + "\n",
        "x = " + "-" * 150 + "1\n",
        "x = " + "[" * 150 + "]" * 150 + "\n",
        "if a: pass\n" + "elif b: pass\n" * 500,
        "x = 0x" + "f" * 40_000,
        "\n".join("for i in x:" + "\n" + " " * depth for depth in range(1, 25)) + "pass",
    ],
)
def test_no_source_makes_it_raise(source: str) -> None:
    try:
        tree = ast.parse(source)
    except (SyntaxError, RecursionError, MemoryError):
        return
    found = compile_program(source, tree)
    assert found.program or found.refusals
    assert all(one.rule and one.message and one.hint for one in found.refusals)


def test_a_flood_of_refusals_is_bounded() -> None:
    assert len(compiled("x.__class__\n" * 3000).refusals) == 100


def test_unknown_syntax_is_refused() -> None:
    class Newer(ast.expr):
        _fields = ()

    node = Newer(lineno=3, col_offset=4, end_lineno=3, end_col_offset=5)
    found = compile_program("", ast.Module([ast.Expr(node, lineno=3, col_offset=4)], []))
    assert [(one.rule, one.message) for one in found.refusals] == [
        (RULE, "Newer is not available in restricted code")
    ]


def hooks(code: CodeType) -> set[str]:
    found = {name for name in code.co_names if "." in name}
    return found.union(*(hooks(one) for one in code.co_consts if isinstance(one, CodeType)))


def test_hooks_have_names_that_no_source_can_spell() -> None:
    """CVE-2026-55830: a binder that nobody had checked shadowed a guard. Here there is nothing to check."""
    given = {name for name in table.make() if name.startswith("guard.")}
    assert given
    assert not any(name.isidentifier() for name in given)
    source = "import a.b, c as d\nfrom e import f\nx._y = x.z = x.__name__\nx._y += x.q\ny().z._a = y().obj\n"
    source += "x.__class__.__name__, x.format(1), x.__len__, x.__cause__\nx.__doc__ = 1\ny()._q += 1\nx._r\n"
    _, _, *parts = marshal.loads(compiled(source).program)
    used = set().union(*map(hooks, parts))
    assert used == given


def test_compiler_and_guards_sort_names_alike() -> None:
    for table_name in ("LABELS", "ERRORS", "FORMATS", "METHODS", "_PREFIXES"):
        assert getattr(names, table_name) == getattr(guest_names, table_name)
    assert names.REFUSED == guest_names.REFUSED_NAMES
    every = {*names.REFUSED, *names.METHODS, *names.LABELS, *names.ERRORS, *names.FORMATS, *names.RESERVED}
    every |= {
        "obj",
        "x",
        "_x",
        "__x",
        "__dict__",
        "co_x",
        "x__roles__",
        "_x__roles__",
        "__x__roles__",
        "",
        "_",
        "__",
    }
    for name in every:
        assert names.kind_of(name).value == guest_names.kind_of(name), name


def test_compiler_and_guest_agree_on_the_form() -> None:
    assert FORMAT == program.FORMAT


@pytest.mark.parametrize(
    ("tail", "value"),
    [("1", 1), ("1;", None), ("1 # ;", 1), ("(1) ;  ", None), ("x = 1", None), ("'a;'", "a;")],
)
def test_the_last_expression_is_the_value_unless_a_semicolon_follows(tail: str, value: object) -> None:
    assert guarded(f"import math\n{tail}")[1] == repr(value)


def test_a_program_of_another_form_or_python_is_refused() -> None:
    code = compile("1", "x", "eval")
    for wrong in (
        b"",
        b"garbage",
        marshal.dumps(3),
        marshal.dumps((FORMAT + 1, program.MAGIC_NUMBER, code)),
        marshal.dumps((FORMAT, b"else", code)),
        marshal.dumps((FORMAT, program.MAGIC_NUMBER, "text")),
    ):
        with pytest.raises(program.ProgramError):
            program.load(wrong, "<snippet>")
