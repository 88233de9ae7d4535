"""One test for each known way out of restricted code through the standard library.

The programs here are plain Python with facades for modules: what stops them is a facade, not the compiler or its guards.
"""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import functools
import importlib
import io
import statistics
import sys
import textwrap
import uuid
from typing import Any

import pytest

from sandboxd.guest.restricted import facades, metaclasses
from tests.unit.guest.facade_program import run, value

pytestmark = pytest.mark.hardens

# Names that lead from a raw module to another one, or to what evaluates text (reference, chapters 1.4 and 5.2).
RAW = """
statistics.sys random._os enum.bltns dataclasses.sys json.codecs contextlib.os contextlib.sys string.Formatter string._re
functools.singledispatch functools.singledispatchmethod functools.WRAPPER_ASSIGNMENTS dataclasses.make_dataclass
dataclasses.Field dataclasses.inspect typing.get_type_hints typing.ForwardRef typing.sys typing.types typing.no_type_check
typing.dataclass_transform typing.get_args typing.get_overloads re.Scanner re.enum re._compiler re.copyreg
datetime.datetime_CAPI uuid.getnode uuid.uuid1 uuid.os csv.StringIO csv.re io.open io.FileIO io.open_code
io.TextIOWrapper io.BufferedReader calendar.different_locale calendar.LocaleTextCalendar calendar.sys calendar.main
copy.dispatch_table collections.UserString collections._sys types.FunctionType types.CodeType
types.ModuleType types.MethodType types.new_class types.coroutine operator.builtins base64.main zoneinfo.reset_tzpath
zoneinfo.TZPATH hashlib.file_digest hashlib.algorithms_available sys.modules sys._getframe sys.exc_info sys.settrace
sys.stdin sys.path sys.exit sys.meta_path sys.addaudithook traceback.format_exception traceback.walk_stack
traceback.TracebackException traceback.linecache warnings.catch_warnings warnings.sys warnings.showwarning shlex.shlex
shlex.os codecs.open codecs.lookup codecs.register codecs.builtins asyncio.get_event_loop asyncio.get_running_loop
asyncio.new_event_loop asyncio.Runner asyncio.Task asyncio.create_subprocess_exec asyncio.create_subprocess_shell
asyncio.to_thread asyncio.open_connection asyncio.events asyncio.sys asyncio.all_tasks time.tzset time.clock_settime
urllib.request urllib.parse.sys enum.global_enum enum.sys abc.update_abstractmethods heapq.main textwrap.re
html.parser._markupbase unicodedata.ucd_3_2_0 random._inst random._test secrets.DEFAULT_ENTROPY
queue.threading contextlib.chdir fractions.sys numbers.ABCMeta pprint._sys difflib._namedtuple
""".split()


@pytest.mark.parametrize("dotted", RAW)
def test_a_raw_module_s_way_out_is_not_there(dotted: str) -> None:
    module, _, member = dotted.rpartition(".")
    assert not hasattr(facades.load(module), member)


def test_what_is_refused_exists_in_the_real_modules() -> None:
    """The list above would be worth nothing if its names were spelt wrong."""
    absent = [
        dotted
        for dotted in RAW
        if not hasattr(importlib.import_module(dotted.rpartition(".")[0]), dotted.rpartition(".")[2])
    ]
    known = {
        "enum.bltns",
        "re._compiler",
        "operator.builtins",
        "urllib.request",
        "calendar.main",
        "heapq.main",
    }
    assert set(absent) <= known


def test_attrgetter_and_methodcaller_ask_the_guard() -> None:
    imports = "from operator import attrgetter, methodcaller"
    assert value("attrgetter('real', 'imag.real')(3 + 4j)", imports) == (3.0, 4.0)
    assert value("sorted(['b', 'A'], key=methodcaller('lower'))", imports) == ["A", "b"]
    assert value("methodcaller('split', '-', maxsplit=1)('a-b-c')", imports) == ["a", "b-c"]
    for expression in (
        "attrgetter('__class__')(1)",
        "attrgetter('__init__.__globals__')(Exception)",
        "attrgetter('real.__class__')(1)",
        "attrgetter('gi_frame')(x for x in ())",
        "attrgetter('format')('{0.__class__}')(1)",
        "methodcaller('format', 1)('{0.__class__}')",
        "methodcaller('format', '{0.__class__}', 1)(str)",
        "methodcaller('__reduce_ex__', 2)(1)",
        "methodcaller('mro')(int)",
    ):
        with pytest.raises(AttributeError, match="not available in restricted code"):
            value(expression, imports)


def test_attrgetter_takes_no_lying_string() -> None:
    source = """
from operator import attrgetter
class Name(str):
    def startswith(self, *a): return False
    def split(self, *a): return [self]
    def __eq__(self, other): return False
    __hash__ = str.__hash__
getter = attrgetter(Name("__class__"))
"""
    with pytest.raises(AttributeError, match="not available"):
        run(source)["getter"](1)


def test_guarded_callables_hide_what_they_are_made_of() -> None:
    for module, member in (("functools", "wraps"), ("dataclasses", "dataclass"), ("asyncio", "run")):
        found = getattr(facades.load(module), member)
        for name in (
            "__globals__",
            "__closure__",
            "__code__",
            "__wrapped__",
            "__self__",
            "__func__",
            "_function",
        ):
            assert not hasattr(found, name)
        assert found.__name__ == member
        assert found.__doc__
        with pytest.raises(AttributeError):
            found.poison = 1
        with pytest.raises(TypeError):
            type(found)()
        with pytest.raises(TypeError):
            type(found).__call__ = None
        with pytest.raises(TypeError):
            type("Sub", (type(found),), {})
        with pytest.raises(TypeError):
            found.__reduce_ex__(2)
        assert copy.deepcopy(found) is copy.copy(found) is found
    getter = value("attrgetter('a')", "from operator import attrgetter")
    for name in ("_names", "__dict__"):
        assert not hasattr(getter, name)
    with pytest.raises(TypeError):
        type("Sub", (type(getter),), {})


def test_wraps_copies_its_four_attributes_and_the_program_s_own() -> None:
    source = """
import functools, statistics
def f(a: int) -> str:
    "doc"
f.mark, f._mark = 1, 2
@functools.wraps(f)
def g(*args): return args
result = g.__name__, g.__qualname__, g.__doc__, g.__module__, g.mark, g._mark, g.__annotations__, g(1)
@functools.wraps(statistics.mean)
def h(): pass
"""
    names = run(source)
    expected = ("f", "f", "doc", "__main__", 1, 2, names["f"].__annotations__, (1,))
    assert names["result"] == expected
    assert (names["h"].__name__, names["h"].__doc__) == ("mean", statistics.mean.__doc__)
    assert not hasattr(names["g"], "__wrapped__")


def test_wraps_takes_no_choice_of_attributes_and_changes_no_library() -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        run("import functools\nfunctools.wraps(print, assigned=('__globals__',))")
    for target in ("statistics.mean", "statistics.NormalDist", "math.sqrt", "functools.wraps"):
        with pytest.raises(TypeError, match="of your program only"):
            run(f"import functools, math, statistics\nfunctools.update_wrapper({target}, lambda: 0)")
    assert statistics.mean.__name__ == "mean"


def test_wraps_does_not_carry_over_a_stranger_s_names() -> None:
    source = """
import functools, types
fake = types.SimpleNamespace(**{"__globals__": {}, "__wrapped__": 1, "__code__": 2, "gi_frame": 3, "fine": 4, "__name__": "n"})
@functools.wraps(fake)
def f(): pass
"""
    assert vars(run(source)["f"]) == {"fine": 4}


@pytest.mark.parametrize(
    ("decorator", "target"),
    [
        ("functools.total_ordering", "decimal.Decimal"),
        ("functools.total_ordering", "statistics.NormalDist"),
        ("dataclasses.dataclass", "fractions.Fraction"),
        ("dataclasses.dataclass(slots=True)", "json.JSONEncoder"),
        ("typing.runtime_checkable", "typing.SupportsInt"),
        ("abc.abstractmethod", "statistics.mean"),
        ("abc.abstractmethod", "json.JSONEncoder"),
    ],
)
def test_a_decorator_changes_no_library(decorator: str, target: str) -> None:
    with pytest.raises(TypeError, match="of your program only"):
        run(
            f"import abc, dataclasses, decimal, fractions, functools, json, statistics, typing\n{decorator}({target})"
        )


def test_marks_for_type_checkers_leave_none() -> None:
    assert value("typing.final(statistics.mean)", "import typing, statistics") is statistics.mean
    assert not hasattr(statistics.mean, "__final__")


def test_decorators_work_on_the_program_s_own() -> None:
    source = """
import abc, functools, typing
@functools.total_ordering
class V:
    def __init__(self, n): self.n = n
    def __eq__(self, o): return self.n == o.n
    def __lt__(self, o): return self.n < o.n
class A(abc.ABC):
    @property
    @abc.abstractmethod
    def p(self): ...
class B(metaclass=abc.ABC.__class__): pass
@typing.runtime_checkable
class Sized(typing.Protocol):
    def __len__(self) -> int: ...
try:
    A()
except TypeError as e:
    error = str(e)
result = V(1) >= V(0), isinstance([], Sized), isinstance(1, Sized), "abstract" in error
"""
    assert run(source)["result"] == (True, True, False, True)


def test_a_field_s_name_cannot_be_made_text_to_run() -> None:
    """dataclass() writes base classes' field names into source that it executes."""
    renamed = """
from dataclasses import dataclass, field, fields
@dataclass
class Base:
    a: int = 1
fields(Base)[0].name = "a=print('injected')"
@dataclass
class Sub(Base):
    b: int = 2
"""
    with pytest.raises(TypeError, match="keep its name"):
        run(renamed)
    subclassed = """
from dataclasses import dataclass, field
class Evil(type(field())):
    __slots__ = ()
    name = property(lambda self: "a=print('injected')", lambda self, value: None)
@dataclass
class Sub:
    a: int = Evil(1, None, True, True, None, True, None, False)
"""
    with pytest.raises(TypeError, match=r"made by field\(\)"):
        run(subclassed)
    keyed = """
from dataclasses import dataclass
class Sub:
    a: int
Sub.__annotations__["x=print('injected')"] = int
dataclass(Sub)
"""
    with pytest.raises(TypeError, match="valid identifiers"):
        run(keyed)
    with pytest.raises(TypeError, match="without two leading underscores"):
        run(keyed.replace("x=print('injected')", "__dataclass_builtins_object__"))


def test_the_injection_is_real_without_the_facade(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclasses.dataclass
    class Base:
        a: int = 1

    dataclasses.fields(Base)[0].name = "a, print('injected')"
    sub = dataclasses.dataclass(init=False, repr=False)(type("Sub", (Base,), {"__annotations__": {}}))
    assert sub() == sub()
    assert capsys.readouterr().out == "injected\n" * 2


def test_nothing_answers_for_a_field() -> None:
    """dataclass() gets defaults by getattr, flags by their truth, and base classes' fields by any mapping's values()."""
    imports = "from dataclasses import dataclass, field\nimport functools\n"
    evil = (
        imports
        + """
class F(type(field())):
    __slots__ = ()
    name = property(lambda self: "a=print('injected')", lambda self, value: None)
class Answers:
    def __get__(self, instance, owner): return evil
    def __bool__(self): return True
evil = F(1, None, True, True, None, True, None, False)
"""
    )
    for default in (
        "Answers()",
        "staticmethod(evil)",
        "classmethod(Answers())",
        "functools.partialmethod(Answers())",
    ):
        with pytest.raises(TypeError, match="must not be a descriptor"):
            run(f"{evil}\n@dataclass\nclass D:\n    a: int = {default}")
        with pytest.raises(TypeError, match="must not be a descriptor"):
            run(f"{evil}\nclass Base:\n    a = {default}\n@dataclass\nclass D(Base):\n    a: int")
    with pytest.raises(TypeError, match="flags of field"):
        run(f"{evil}\n@dataclass\nclass D:\n    a: int = field(repr=Answers())")
    with pytest.raises(TypeError, match="fields in a dictionary"):
        run(f"{evil}\nclass D(dict): pass\nclass E:\n    __dataclass_fields__ = D()\ndataclass(E)")
    with pytest.raises(TypeError, match="hide its class"):
        run(
            f"{evil}\nclass C:\n    __class__ = property(lambda self: F)\n@dataclass\nclass D:\n    a: int = C()"
        )
    plain = """
@dataclass(repr=1, order=Answers())
class D:
    f: object = len
    g: object = print
    h: type = int
    def j(self): ...
result = D().h
"""
    assert run(evil + plain)["result"] is int


def test_a_functional_enum_has_no_dunder_members() -> None:
    for names in (
        "[('__class__', property(lambda self: int)), ('A', 1)]",
        "{'__reduce_ex__': lambda self, protocol: 1}",
        "'A __del__'",
        "(name for name in [['__getattribute__', 1]])",
    ):
        with pytest.raises(ValueError, match="invalid enum member name"):
            value(f"enum.Enum('E', {names})", "import enum")
    kept = value(
        "[enum.Enum('E', 'A, B'), enum.IntEnum('E', ['A', 'B'], start=3), enum.Flag('E', {'A': 1}), enum.Enum('E', [('A', 'x')])]",
        "import enum",
    )
    assert [[(one.name, one.value) for one in made] for made in kept] == [
        [("A", 1), ("B", 2)],
        [("A", 3), ("B", 4)],
        [("A", 1)],
        [("A", "x")],
    ]
    assert {made.__module__ for made in kept} == {"__main__"}
    assert value("enum.Enum('E', 'A', module='here')", "import enum").__module__ == "here"


def test_a_docstring_is_not_read_as_a_signature() -> None:
    """inspect.signature looks up dotted names of a C signature in all modules, and dataclass() writes it into __doc__."""
    source = """
from dataclasses import dataclass
class Base:
    "Base(a=sys.version)\\n--\\n\\n"
@dataclass(init=False)
class Sub(Base):
    x: int
"""
    with pytest.raises(TypeError, match="signature of a C function"):
        run(source)


def test_dataclasses_work() -> None:
    source = """
from dataclasses import KW_ONLY, asdict, dataclass, field, replace
from typing import ClassVar
@dataclass(order=True)
class P:
    name: str
    tags: list = field(default_factory=list)
    kind: ClassVar[str] = "k"
    later: "Unknown" = None
@dataclass(frozen=True, slots=True)
class Q:
    name: str
    _: KW_ONLY
    z: int = 0
result = repr(P("a")), P("a") < P("b"), asdict(replace(Q("a", z=2), z=3)), hash(Q("a")), P.__doc__, Q.__slots__
"""
    facade_result = run(source)["result"]
    plain: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<plain>", "exec", dont_inherit=True), plain)
    assert facade_result == plain["result"]


def test_namedtuple_runs_no_text() -> None:
    source = """
from collections import namedtuple
class Lie(str):
    def isidentifier(self): return True
    def startswith(self, *a): return False
    def __str__(self): return self
    def split(self, *a): return [self]
    def replace(self, *a): return self
namedtuple("T", [Lie("a, b=print('injected')")])
"""
    with pytest.raises((TypeError, ValueError)):
        run(source)
    assert value("namedtuple('T', 'a b')(1, 2)", "from collections import namedtuple") == (1, 2)


def test_copying_sets_no_attribute_of_another_object() -> None:
    """copy() asks the instance for __reduce_ex__, and sets what it lists on what it names."""
    imports = "import copy, dataclasses, textwrap, types"
    target = "types.SimpleNamespace(**{'__reduce_ex__': lambda p: (lambda: textwrap.TextWrapper, (), (None, {'wrap': 1}))})"
    for expression in (f"copy.copy({target})", f"copy.deepcopy([{target}])"):
        with pytest.raises(TypeError, match="copying a 'SimpleNamespace' object made a 'type'"):
            value(expression, imports)
    through_asdict = f"""
{imports}
@dataclasses.dataclass
class D:
    x: object
dataclasses.asdict(D({target}))
"""
    with pytest.raises(TypeError, match="copying a 'SimpleNamespace'"):
        run(through_asdict)
    assert callable(textwrap.TextWrapper.wrap)


def test_copying_works() -> None:
    source = """
import array, collections, copy, datetime, decimal, fractions, random, types
class C:
    def __init__(self): self.x = [1]
class S:
    __slots__ = ("a",)
c, s = C(), S()
s.a = [1]
values = [
    c, s, types.SimpleNamespace(a=[1]), collections.OrderedDict(a=1), collections.Counter("aab"), collections.deque([1], 3),
    collections.defaultdict(list, a=[1]), datetime.datetime(2024, 1, 31, tzinfo=datetime.timezone.utc), decimal.Decimal("1.5"),
    fractions.Fraction(1, 3), random.Random(1), array.array("i", [1]), iter([1, 2]), range(3), ValueError("a"), {1: {2}},
    collections.ChainMap({1: 2}), decimal.Context(prec=3),
]
result = [type(copy.deepcopy(v)) is type(v) and type(copy.copy(v)) is type(v) for v in values]
deep = copy.deepcopy(c)
separate = deep.x == [1] and deep.x is not c.x and copy.deepcopy(s).a is not s.a
"""
    names = run(source)
    assert all(names["result"])
    assert names["separate"]


def test_redirecting_chooses_no_attribute_of_sys() -> None:
    source = "import contextlib\nclass R(contextlib.redirect_stdout):\n    _stream = 'modules'"
    with pytest.raises(TypeError, match="not an acceptable base type"):
        run(source)
    names = run(
        "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as out:\n    print('a')\nresult = out.getvalue()"
    )
    assert names["result"] == "a\n"
    with pytest.raises(TypeError, match="not an acceptable base type"):
        run(source.replace("contextlib.redirect_stdout", "type(contextlib.redirect_stdout(None))"))


def test_standard_output_can_be_written_to_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    with open(1, "w", closefd=False) as real, contextlib.redirect_stdout(real):
        source = """
import contextlib, io, sys
from sys import stdout
print(sys.stdout.write("a"), file=sys.stdout)
same = sys.stdout is stdout is sys.stdout
buffer = io.StringIO()
with contextlib.redirect_stdout(buffer):
    sys.stdout.write("b")
    stdout.write("c")
    inside = sys.stdout is buffer
with contextlib.redirect_stdout(sys.stdout):
    print("d")
sys.stdout.writelines(["e", "f"])
sys.stdout.flush()
"""
        names = run(source)
    assert capfd.readouterr().out == "a1\ncd\nef"
    assert (names["buffer"].getvalue(), names["inside"], names["same"]) == ("b", True, True)
    for name in (
        "buffer",
        "raw",
        "detach",
        "fileno",
        "reconfigure",
        "close",
        "name",
        "_real",
        "__self__",
        "__dict__",
    ):
        assert not hasattr(names["stdout"], name)
    with pytest.raises(AttributeError):
        names["stdout"].write = None
    with pytest.raises(TypeError):
        type(names["stdout"])()


@pytest.mark.parametrize("name", "Queue Lock Event Condition Semaphore TaskGroup PriorityQueue".split())
def test_what_keeps_an_event_loop_has_no_subclass(name: str) -> None:
    with pytest.raises(TypeError, match="not an acceptable base type"):
        run(f"import asyncio\nclass Sub(asyncio.{name}): pass")


def test_names_that_tell_a_loop_or_a_stack_are_refused() -> None:
    for name in (
        "get_loop",
        "get_stack",
        "print_stack",
        "gi_frame",
        "cr_frame",
        "ag_frame",
        "tb_frame",
        "f_globals",
    ):
        assert facades.is_refused(name)
        assert facades.is_refused("__class__")
    assert not any(map(facades.is_refused, ("evaluate", "get_field", "real", "format", "frame", "code")))


def test_asyncio_works() -> None:
    source = """
import asyncio
async def work(n):
    await asyncio.sleep(0)
    return n * 2
async def main():
    queue = asyncio.Queue()
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(n)) for n in range(3)]
    for task in tasks:
        await queue.put(task.result())
    async with asyncio.Lock(), asyncio.timeout(10):
        many = await asyncio.gather(work(5), asyncio.wait_for(work(6), 10))
    return [queue.get_nowait() for _ in range(3)], many, await asyncio.create_task(work(7))
result = asyncio.run(main())
"""
    assert run(source)["result"] == ([0, 2, 4], [10, 12], 14)


def test_metaclasses_make_no_class_from_a_dictionary() -> None:
    for module, name in (("abc", "ABCMeta"), ("enum", "EnumMeta"), ("enum", "EnumType")):
        with pytest.raises(TypeError, match="write a class statement"):
            value(f"{module}.{name}('X', (), {{}})", f"import {module}")
        with pytest.raises(TypeError, match="cannot be written in restricted code"):
            run(f"import {module}\nclass Sub({module}.{name}): pass")
        assert metaclasses.real(getattr(facades.load(module), name)) is getattr(sys.modules[module], name)
    assert value("isinstance(abc.ABC, abc.ABCMeta), isinstance(int, abc.ABCMeta)", "import abc") == (
        True,
        False,
    )


def test_enum_property_names_no_attribute() -> None:
    with pytest.raises(TypeError, match="not an acceptable base type"):
        run("import enum\nclass P(enum.property):\n    _attr_type, name = 'attr', '__globals__'")


def test_enums_work() -> None:
    source = """
import enum
class Color(enum.Enum):
    RED = enum.auto()
    BLUE = "b"
    @enum.property
    def shade(self): return self.name.lower()
class Perm(enum.IntFlag):
    R, W = 4, 2
@enum.unique
class S(enum.StrEnum):
    A = enum.auto()
result = repr(Color.RED), Color("b").shade, Perm.R | Perm.W, str(S.A), [c.name for c in enum.Enum("F", "X Y")]
"""
    assert run(source)["result"] == ("<Color.RED: 1>", "blue", 6, "a", ["X", "Y"])


def test_methods_ask_for_their_receiver() -> None:
    imports = "import collections, enum, re, typing"
    for expression in (
        "collections.Counter.copy(int)",
        "collections.UserList.copy(int)",
        "collections.ChainMap.new_child(int, 'P')",
        "collections.ChainMap.parents.fget(int)",
        "enum.Flag.__or__(int, 1)",
        "type(typing.List[int]).copy_with(int, ())",
        "collections.ChainMap.register(type) and collections.ChainMap.copy(int)",
    ):
        with pytest.raises(TypeError, match="doesn't apply to a 'type' object"):
            value(expression, imports)
    source = f"""
{imports}
class C(collections.Counter): pass
class L(collections.UserList): pass
class F(enum.Flag):
    A, B = 1, 2
chain = collections.ChainMap({{1: 2}}).new_child()
result = (
    type(C("a").copy()), L([1]) + [2], (L([1]) * 2)[:1], F.A | F.B, ~F.A, re.I | re.M, chain.parents[1], chain.copy(),
    collections.Counter("ab") + collections.Counter("b"), typing.List[typing.TypeVar("T")][int], 2 | enum.IntFlag("G", "X Y").X,
)
"""
    plain: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(source, "<plain>", "exec", dont_inherit=True), plain)
    assert repr(run(source)["result"]) == repr(plain["result"])


def test_a_traceback_is_never_taken_from_the_caller() -> None:
    """Given an object that says it is one, `traceback` prints lines of any file."""
    with pytest.raises(TypeError):
        run("import traceback\ntraceback.format_exc(1, True, object())")
    source = "import traceback\ntry:\n    1/0\nexcept ZeroDivisionError:\n    text = traceback.format_exc()"
    text = run(source)["text"]
    assert text.startswith("Traceback")
    assert text.endswith("ZeroDivisionError: division by zero\n")
    assert "sandboxd" not in text


def test_recursion_is_bounded_before_the_stack_is() -> None:
    before = sys.getrecursionlimit()
    with pytest.raises(ValueError, match="must not be greater than 10000"):
        value("sys.setrecursionlimit(10**6)", "import sys")
    value(f"sys.setrecursionlimit({before})", "import sys")
    assert sys.getrecursionlimit() == before


def test_shared_state_stays_the_library_s() -> None:
    assert io.StringIO is facades.load("io").StringIO
    assert uuid.UUID is facades.load("uuid").UUID
    assert functools.reduce is facades.load("functools").reduce


def test_a_traceback_imports_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delitem(sys.modules, "this", raising=False)
    facades.confine_imports()
    source = """
import traceback
class Own(ImportError):
    pass
for kind in (ImportError, Own):
    try:
        raise kind("x", name="th" + "is", name_from="foo") if VERSION >= (3, 12) else kind("x", name="th" + "is")
    except ImportError:
        traceback.format_exc()
""".replace("VERSION", repr(sys.version_info[:2]))
    run(source)
    assert "this" not in sys.modules
