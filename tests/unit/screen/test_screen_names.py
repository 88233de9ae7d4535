"""SBX2xx: names and attributes, and every place that binds a name."""

import sys

import pytest


@pytest.mark.parametrize(
    "name",
    ["__class__", "__dict__", "__globals__", "__code__", "__subclasses__", "__bases__", "__mro__", "__builtins__", "__self__",
     "__func__", "__wrapped__", "__closure__", "__traceback__", "__reduce__", "__reduce_ex__", "__getattribute__", "__loader__",
     "__spec__", "__import__", "__module__", "__del__", "foo__roles__", "__unknown_to_anyone__"],
)  # fmt: skip
def test_dunder_attributes_are_denied_unless_listed(screen, name):
    finding = screen(f"y = 1\nx = y.{name}\n")[0]
    assert (finding["rule"], finding["symbol"], finding["line"], finding["column"]) == (
        "attribute-not-allowed",
        name,
        2,
        5,
    )
    assert finding["hint"]


@pytest.mark.parametrize(
    "name",
    ["gi_frame", "gi_code", "gi_yieldfrom", "cr_frame", "cr_origin", "ag_frame", "tb_frame", "tb_next", "f_back", "f_globals",
     "f_locals", "f_builtins", "f_code", "f_generator", "f_trace", "co_code", "co_consts", "mro", "get_field", "vformat"],
)  # fmt: skip
@pytest.mark.parametrize(
    "form", ["x.{}", "x().{}()", "x.{} = 1", "del x[0].{}", "[y.{} for y in z]", "x.{}.real"]
)
def test_introspection_is_denied(rules_of, name, form):
    assert "attribute-denied" in rules_of(form.format(name) + "\n")


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    __slots__ = ('a',)\n    def __init__(self): super().__init__()\n    def __repr__(self): return type(self).__name__\n",
        "def f(x): return self.__class__.__name__ + x.__class__.__qualname__\n",
        "try:\n    pass\nexcept E as e:\n    print(e.__cause__, e.args, type(e).__name__)\n",
        "if __name__ == '__main__':\n    print(__doc__)\n",
        "__version__ = '1'\n__all__ = ['f']\nprint(__version__)\n",
        "class A:\n    def f(self): self.__secret = 1; self._own = 2; return self.__secret\n",
        "def d(f):\n    def w(): return f()\n    w.__name__ = f.__name__\n    w.calls = 0\n    return w\n",
        "_x = 1\n_ = 2\nf(tb=1, co=2, model=3)\nx.format_ = 1\n",
    ],
)
def test_ordinary_names_pass(rules_of, source):
    assert rules_of(source) == set()


def test_class_of_is_for_its_name_only(rules_of):
    assert rules_of("x.__class__.__name__") == set()
    assert rules_of("x.__class__.__init__") == {"attribute-not-allowed"}
    assert rules_of("y = x.__class__\ny.__name__") == {"attribute-not-allowed"}


@pytest.mark.parametrize(
    "name", ["__builtins__", "__import__", "__loader__", "__spec__", "__file__", "__build_class__", "__debug"]
)
def test_dunder_names(rules_of, name):
    expected = "builtin-not-allowed" if name == "__import__" else "reserved-name"
    assert rules_of(f"print({name})") == ({expected} if name.endswith("__") else set())


BINDERS = [
    "{} = 1",
    "a, *{} = x",
    "{}: int = 1",
    "{} += 1",
    "del {}",
    "for {} in x: pass",
    "with x as {}: pass",
    "import math as {}",
    "from math import pi as {}",
    "def {}(): pass",
    "async def {}(): pass",
    "class {}: pass",
    "def f({}, /): pass",
    "def f({}): pass",
    "def f(*, {}): pass",
    "def f(*{}): pass",
    "def f(**{}): pass",
    "lambda {}: 1",
    "[1 for {} in x]",
    "({} := 1)",
    "try:\n    pass\nexcept E as {}:\n    pass",
    "def f():\n    global {}",
    "def f():\n    {} = 1\n    def g():\n        nonlocal {}",
    "match x:\n    case {}: pass",
    "match x:\n    case [*{}]: pass",
    "match x:\n    case {{'a': 1, **{}}}: pass",
    "match x:\n    case 1 as {}: pass",
    "async def f():\n    async for {} in x: pass",
    "async def f():\n    async with x as {}: pass",
    "lambda *{}: 1",
    "lambda *, {}=1: 1",
    "lambda {}, /: 1",
    "{{1: 1 for {} in x}}",
    "def f(x=({} := 1)): pass",
    "[(a := ({} := 1)) for b in x]",
    "class A:\n    def {}(self): pass",
    "class A:\n    {} = 1",
    "for a, (b, *{}) in x: pass",
    "import {}",
    "import {}.x",
    "from math import {}",
    *(["def f[{}](): pass", "class A[*{}]: pass", "type {} = int"] if sys.version_info >= (3, 12) else []),
]


@pytest.mark.parametrize("binder", BINDERS)
@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("_getattr_", "reserved-name"),
        ("_write_", "reserved-name"),
        ("__builtins__", "reserved-name"),
        ("eval", "builtin-not-allowed"),
    ],
)
def test_every_binder_is_checked(rules_of, binder, name, rule):
    assert rule in rules_of(
        binder.replace("{{", "{").replace("}}", "}").replace("{}", name)
        if "{{" in binder
        else binder.format(name, name)
    )


def test_keyword_arguments_are_checked_for_dunders(rules_of):
    assert rules_of("f(__class__=1)") == {"reserved-name"}
    assert rules_of("f(eval=1, compile=True)") == set()


@pytest.mark.parametrize(
    "source",
    [
        "match e:\n    case AttributeError(obj=o): pass\n",
        "try:\n    pass\nexcept AttributeError as e:\n    x = e.obj\n",
        "try:\n    pass\nexcept AttributeError as e:\n    x = e.obj.system\n",
    ],
)
def test_the_object_behind_an_error(rules_of, source):
    assert "exception-object" in rules_of(source)


def test_obj_of_anything_else_is_data(rules_of):
    assert rules_of("self.obj = 1\nprint(group.obj)\n") == set()


@pytest.mark.parametrize(
    ("attribute", "rule"), [("__traceback__", "attribute-not-allowed"), ("gi_frame", "attribute-denied")]
)
def test_patterns_read_attributes(rules_of, attribute, rule):
    assert rules_of(f"match x:\n    case C({attribute}=y): pass\n") == {rule}
