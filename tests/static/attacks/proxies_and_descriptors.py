#: an own super() opens a library's private names
import asyncio
class S(super): pass
async def main():
    return S(asyncio.Queue, Q())._get_loop()
class Q(asyncio.Queue): pass
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: an own generic alias answers for its origin
import asyncio
class G(type(list[int])): pass
async def main():
    return G(asyncio.Queue(), ())._get_loop()
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: an own alias of typing
import asyncio, typing
class G(type(typing.List[int]), _root=True): pass
async def main():
    return G(asyncio.Queue(), ())._get_loop()
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: an alias answers for an error
class A:
    __slots__ = ("x",)
try:
    A().missing
except AttributeError as e:
    loot = [type(list[int])(e, ()).obj]
    print("ESC" + "APED" if type(loot[0]) is A else "")

#: a cached property writes to any instance
import contextlib, functools
class P(functools.cached_property): pass
p, mine = P(lambda self: 7), []
class A:
    _new_target = p
r = contextlib.redirect_stdout(None)
del r._new_target
p.__get__(r)
print("ESC" + "APED" if r._new_target == 7 else "")

#: the same from the class
import calendar, functools
class P(functools.cached_property): pass
p = P(lambda self: "%d")
class A:
    poison = p
P.__get__(p, calendar.day_name)
print("ESC" + "APED" if calendar.day_name.poison else "")

#: a partial method hands it on
import calendar, functools
class P(functools.partialmethod): pass
p = functools.cached_property(lambda self: "%d")
class A:
    poison = p
P(p).__get__(calendar.day_name)
print("ESC" + "APED" if calendar.day_name.poison else "")

#: an enum of types makes a class of a dictionary
import enum, typing
loot = []
body = {"__init__": classmethod(lambda cls, *rest: loot.append(cls)), "__di" + "r__": lambda self: ["ESC" + "APED"]}
try:
    class E(typing.Type[int], enum.Enum):
        A = ("X", (), body)
except TypeError:
    pass
print(dir(loot[0]()))

#: a slot in the place of a hook
class A:
    __slots__ = ("__getattr__",)
setattr(A, "x", 1)
print("ESC" + "APED")

#: a pattern's names below an if
class E(Exception):
    if True:
        __match_args__ = ("__di" + "ct__", "__trace" + "back__")
try:
    raise E
except E as e:
    match e:
        case E(names, trace):
            print("ESC" + "APED")

#: a pattern's names by a loop
class E:
    for __match_args__ in [("__di" + "ct__",)]: pass
match E():
    case E(names):
        print("ESC" + "APED")

#: the name of a time zone that joins itself
import zoneinfo
class K(str):
    def __radd__(self, other): return other + "../../../../etc/hostname"
try:
    zoneinfo.ZoneInfo(K("Foo/Bar"))
except ValueError as e:
    print("ESC" + "APED" if "magic" in str(e) else "")

#: a base of typing keeps a closed one from refusing
import contextlib, typing
class F(typing.TypeVar, contextlib.redirect_stdout, _root=True):
    _stream = "version_info"
    def __init__(self): contextlib.redirect_stdout.__init__(self, (3,))
    def old(self): return self._old_targets[0]
r = F()
r.__enter__()
print("ESC" + "APED" if r.old() else "")
r.__exit__(None, None, None)

#: an enum's member has a closed base before the class is refused
import asyncio, enum
got = []
try:
    class E(asyncio.TaskGroup, enum.Enum):
        A = ()
        def __init__(self, *a): got.append(self)
except TypeError:
    pass
async def main():
    asyncio.TaskGroup.__init__(got[0])
    await asyncio.TaskGroup.__aenter__(got[0])
    return got[0]._loop
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: the same behind an alias
import asyncio, enum
got = []
try:
    class E(type(list[int])(asyncio.TaskGroup, ()), enum.Enum):
        A = ()
        def __init__(self, *a): got.append(self)
except TypeError:
    pass
print("ESC" + "APED" if got else "")

#: the same by an object that names bases
import asyncio, contextlib, enum, types
got = []
names = types.SimpleNamespace(**{"__mro_" + "entries__": lambda bases: (asyncio.TaskGroup,)})
for base in (names, contextlib.contextmanager(names)):
    try:
        class E(base, enum.Enum):
            A = ()
            def __init__(self, *a): got.append(self)
    except TypeError:
        pass
print("ESC" + "APED" if got else "")

#: the same by a functional enum
import asyncio, enum
got = []
class B(enum.Enum):
    def __init__(self, *a): pass
    def __eq__(self, other): got.append(self); return False
    def __hash__(self): got.append(self); return 1
try:
    B("E", [("A", ()), ("B", ())], type=asyncio.TaskGroup)
except TypeError:
    pass
print("ESC" + "APED" if got else "")
