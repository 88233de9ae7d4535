"""Walks from all that a restricted program can name, by the guards' own rules, to all that it can reach. Run in a process of its own.

Prints, as JSON, the paths to what no program may hold, how many objects were seen, and the same for an unguarded walk: the
control, which must find much.
"""

from __future__ import annotations

import ast
import builtins
import io
import json
import sys
import types
import warnings
from collections import deque
from typing import Any

_, root, *rest = sys.argv
sys.path[:0] = [root, *rest]

from sandboxd.guest.calls import Calls  # noqa: E402
from sandboxd.guest.interrupts import Gate  # noqa: E402
from sandboxd.guest.restricted import building, facades, owners, reading, table, writing  # noqa: E402
from sandboxd.guest.restricted.program import prepare, run_program  # noqa: E402
from sandboxd.guest.restricted.tools import members  # noqa: E402
from sandboxd.guest.tool_errors import error_of  # noqa: E402
from sandboxd.guest.tools import Tools, describe  # noqa: E402
from sandboxd.restrict import compile_program  # noqa: E402

MOST = 60_000
DEEPEST = 10
PLAIN = (int, float, bool, bytes, type(None), complex, str)
METHODS = (types.MethodType, types.BuiltinMethodType, types.MethodWrapperType)
BAD_TYPES = (
    types.ModuleType,
    types.FrameType,
    types.CodeType,
    types.CellType,
    type(__loader__),
)
BAD = [
    builtins.eval,
    builtins.exec,
    builtins.compile,
    builtins.__import__,
    builtins.open,
    builtins.getattr,
    builtins.setattr,
]
BAD += [
    type,
    io.FileIO,
    types.FunctionType.__globals__,
    str.format,
    str.format_map,
    globals(),
    vars(builtins),
    sys.modules,
]
BAD += [writing.WRITABLE, owners.OPEN, reading._kinds, reading._LOADERS, table._HOOKS]
PROGRAM = """
import collections, contextlib, dataclasses, decimal, enum, io, json, random, re, string, textwrap, types, typing, uuid
from abc import ABC
class Own:
    attribute = 1
    _private = 2
    def __init__(self): self.x, self._y, self.__z = 1, [2], {}
    def method(self): return super().__init__
    def proxy(self): return super()
    @property
    def prop(self): return self
    @classmethod
    def made(cls): return cls()
    @staticmethod
    def free(): return 3
class Slots:
    __slots__ = ("a",)
class Mine(ValueError): pass
class Colour(enum.Enum):
    RED = 1
@dataclasses.dataclass
class Data:
    a: int = 1
    b: list = dataclasses.field(default_factory=list)
class Abstract(ABC): pass
class Named(typing.NamedTuple):
    a: int = 1
def function(a, b=2, *c): return lambda: a
def generator():
    caught.append("in")
    yield 1
async def coroutine(): pass
async def agen(): yield 1
@contextlib.contextmanager
def managed(): yield 1
caught = []
try:
    try: {}["k"]
    except KeyError as e: raise Mine("m") from e
except Mine as e: caught.append(e)
try: [].nope
except AttributeError as e: caught.append(e)
try: random.nope
except AttributeError as e: caught.append(e)
try: import nope
except ImportError as e: caught.append(e)
try: undefined
except NameError as e: caught.append(e)
class Manager:
    def __enter__(self): return self
    def __exit__(self, kind, value, trace):
        caught.append(trace)  # Python gives it; nothing of it must be had
        return True
with Manager(): 1 / 0
own = Own()
things = [own, own.method, own.method(), own.proxy(), own.made, own.free, Slots(), Colour.RED, Data(), Named(), function, function(1), generator(),
    agen(), managed(), re.compile("a"), re.match("a", "a"), decimal.getcontext(), types.SimpleNamespace(a=1), io.StringIO("a"),
    random.Random(1), string.Template("$a"), json.JSONEncoder(), json.JSONDecoder(), collections.Counter("a"), collections.ChainMap({}),
    collections.deque([1]), textwrap.TextWrapper(), uuid.UUID(int=1), dataclasses.fields(Data), contextlib.ExitStack(), enum.auto(),
    typing.List[int], "text".format, str.format, type, type(own), iter([1]), enumerate([1]), zip([1]), map(str, [1]), super, property, object()]
"""
SUBCLASS = """
class Sub(base): pass
made = []
def attempt(*arguments):
    try: made.append(Sub(*arguments))
    except Exception: pass
attempt(); attempt("a"); attempt([1]); attempt(print); attempt({})
result = [Sub, made]
"""


def bad(value: Any) -> bool:
    kind = type(value)
    if issubclass(kind, BAD_TYPES) or any(value is one for one in BAD):
        return True
    return kind is dict and ("__builtins__" in value or "guard.write" in value)


def guarded(value: Any, name: str) -> Any:
    return reading.load(value, name)


def names_of(value: Any) -> list[str]:
    try:
        found = set(dir(value))
    except Exception:  # noqa: BLE001
        found = set()
    kind = type(value)
    for base in kind.__mro__:
        found |= set(vars(base))
    found |= {
        "__class__",
        "__dict__",
        "__globals__",
        "__self__",
        "__func__",
        "__wrapped__",
        "__code__",
        "obj",
        "gi_frame",
    }
    return sorted(name for name in found if isinstance(name, str))


def children(value: Any, load: Any) -> Any:
    if type(value) in (list, tuple, set, frozenset):
        yield from ((f"[{position}]", one) for position, one in enumerate(list(value)[:50]))
    elif isinstance(value, dict):
        yield from ((f"[{key!r:.40}]", one) for key, one in list(dict.items(value))[:100])
    for name in names_of(value):
        try:
            found = load(value, name)
        except Exception:  # noqa: BLE001
            continue
        yield f".{name}", found
    try:
        yield "/type", building.Type(value) if load is guarded else type(value)
    except TypeError:
        return


def key_of(value: Any) -> Any:
    """Methods are made anew at each load: one of a kind is enough."""
    if type(value) in METHODS:
        return type(value), value.__name__, type(value.__self__), getattr(value, "__func__", None)
    if type(value) is types.GenericAlias or type(value).__module__ == "typing":
        return type(value), repr(value)
    return id(value)


def walk(start: dict[str, Any], load: Any, most: int) -> tuple[list[str], int]:
    seen: dict[Any, Any] = {}
    found: list[str] = []
    waiting = deque((path, value, 0) for path, value in start.items())
    while waiting and len(seen) < most and len(found) < 50:
        path, value, depth = waiting.popleft()
        if type(value) in PLAIN or key_of(value) in seen:
            continue
        seen[key_of(value)] = value
        if bad(value):
            found.append(path)
            continue
        if depth < DEEPEST:
            waiting.extend((path + step, one, depth + 1) for step, one in children(value, load))
    return found, len(seen)


def compiled(source: str) -> bytes:
    done = compile_program(source, ast.parse(source))
    assert not done.refusals, done.refusals
    return done.program


class Silent:
    """A channel to nowhere."""

    def send(self, message: dict[str, Any]) -> None: ...

    def pump(self) -> list[dict[str, Any]]:
        return []


def offered() -> dict[str, Any]:
    """Make the tools of a session, and what programs meet of them; what is behind them is bad."""
    channel, gate = Silent(), Gate()
    calls = Calls(channel, gate)  # type: ignore[arg-type]
    tools = Tools(calls)
    parameters = json.dumps({"type": "object", "properties": {"q": {"type": "string"}}})
    kinds = [{"name": name, "is_async": name == "fetch"} for name in ("search", "fetch")]
    tools.update(
        json.dumps([{**kind, "description": "d", "parameters": parameters, "returns": ""} for kind in kinds])
    )
    BAD.extend([channel, gate, calls, tools, tools.functions, *tools.functions.values()])
    calls.begin("x")
    made = members(tools.functions, tools.errors, describe(tools.functions))
    error = error_of("search", {"code": "", "name": "E", "message": "m"})
    return {**made, "pending": made["search"].aio(q="a"), "tool_error": error}


def main() -> None:
    warnings.simplefilter("ignore")
    names: dict[str, Any] = {}
    builtin_names = table.make()
    builtin_names.update(offered())
    prepare(names, builtin_names)
    run_program(compiled(PROGRAM), names)
    start = {name: value for name, value in names.items() if name != "__builtins__"}
    start |= {
        name: value
        for name, value in names["__builtins__"].items()
        if name.isidentifier() and not name.startswith("__")
    }
    subclass = compiled(SUBCLASS)
    for module in sorted(facades.NAMES):
        try:
            facade = facades.load(module)
        except ImportError:
            continue
        start[module] = facade
        for member in dir(facade):
            base = getattr(facade, member)
            if isinstance(base, type):
                names["base"] = base
                try:
                    run_program(subclass, names)
                except TypeError:
                    continue
                start[f"sub({module}.{member})"] = names["result"]
    found, count = walk(start, guarded, MOST)
    control, _ = walk({"own": names["own"], "random": sys.modules["random"]}, getattr, 3000)
    sys.stdout.write(json.dumps({"found": found, "seen": count, "control": control[:10]}))


main()
