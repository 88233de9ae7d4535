#: both forms of super, through a diamond
class A:
    def __init__(self, x): self.x = x
    def who(self): return ["A"]
    @classmethod
    def make(cls, x): return cls(x)
    @staticmethod
    def st(a, b=1): return a + b
class B(A):
    def __init__(self, x, y):
        super().__init__(x)
        self.y = y
    def who(self): return ["B"] + super().who()
class C(A):
    def who(self): return ["C"] + super(C, self).who()
class D(B, C):
    def who(self): return ["D"] + super().who()
    @classmethod
    def make(cls, x): return super().make(x)
    def __init__(self, x): super().__init__(x, x * 2)
d = D.make(4)
print(d.who(), d.x, d.y, D.st(1), d.st(2, 3))

#: private names of own classes, mangled and single
class Acc:
    _rate = 2
    __secret = 5
    def __init__(self):
        self._balance = 1
        self.__pin = 42
    def __hidden(self): return self.__pin + self.__secret
    def show(self): return self._balance * self._rate, self.__hidden()
    def change(self):
        self.__pin += 1
        self._balance -= 1
        del self._balance
class Sub(Acc):
    __secret = 100
    def other(self): return self.__secret
a = Sub()
print(a.show(), a.other(), a._rate)
a.change()
try:
    a._balance
except AttributeError as e:
    print(e)

#: data model methods are used by the language
class V:
    def __init__(self, *xs): self.xs = xs
    def __repr__(self): return f"V{self.xs}"
    def __str__(self): return "v"
    def __len__(self): return len(self.xs)
    def __getitem__(self, i): return self.xs[i]
    def __iter__(self): return iter(self.xs)
    def __contains__(self, x): return x in self.xs
    def __eq__(self, o): return self.xs == o.xs
    def __hash__(self): return hash(self.xs)
    def __add__(self, o): return V(*self.xs, *o.xs)
    def __bool__(self): return bool(self.xs)
    def __call__(self, k): return k * len(self)
    def __lt__(self, o): return self.xs < o.xs
    def __format__(self, spec): return f"<{spec}>"
    def __int__(self): return 7
    def __index__(self): return 2
    def __float__(self): return 7.5
    def __round__(self, n=0): return ("round", n)
    def __reversed__(self): return iter(self.xs[::-1])
    def __enter__(self): return "entered"
    def __exit__(self, *a): print("exit", a[0] and a[0].__name__); return True
    def __neg__(self): return V(*(-x for x in self.xs))
v = V(1, 2, 3)
print(v, repr(v), [v], str(v), len(v), v[0], v[-1:], list(v), 2 in v, v == V(1, 2, 3), v + V(4), bool(V()), v(2), sorted([V(2), V(1)]))
print(f"{v:abc} {v!r} {v!s:>4}", int(v), float(v), round(v, 3), list(reversed(v)), "abcd"[v], hex(v), -v, {v: 1}[V(1, 2, 3)])
a, *b = v
with v as w:
    print(w, a, b)
    raise KeyError("swallowed")
print("after")

#: properties with setter and deleter, read-only errors
class T:
    def __init__(self): self._c = 0
    @property
    def f(self):
        "fahrenheit"
        return self._c * 9 / 5 + 32
    @f.setter
    def f(self, v):
        if v < -459: raise ValueError("too cold")
        self._c = (v - 32) * 5 / 9
    @f.deleter
    def f(self): self._c = None
    ro = property(lambda self: "ro")
t = T()
t.f = 212
t.f += 9
print(t.f, t._c, t.ro)
try:
    t.f = -1000
except ValueError as e:
    print(e)
try:
    t.ro = 1
except AttributeError as e:
    print(e)
del t.f
print(t._c)

#: cached_property and class attributes versus instance attributes
import functools
class C:
    n = 0
    items = []
    @functools.cached_property
    def slow(self):
        C.n += 1
        return C.n
a, b = C(), C()
print(a.slow, a.slow, b.slow, C.n)
a.items.append(1)
a.n = 50
print(b.items, b.n, a.n, C.n)
del a.n
print(a.n)

#: dataclasses: defaults, factories, order, frozen, post-init, replace, asdict
from dataclasses import dataclass, field, asdict, replace, astuple, fields, FrozenInstanceError
@dataclass(order=True)
class P:
    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list, compare=False)
    total: int = field(init=False, repr=False, default=0)
    def __post_init__(self): self.total = self.x + self.y
@dataclass(frozen=True)
class F:
    a: float
    b: "str" = "b"
p = P(1, tags=["t"])
print(p, p.total, P(1) < P(2), p == P(1), asdict(p), astuple(p), replace(p, y=9), [f.name for f in fields(P)])
f = F(1.5)
try:
    f.a = 2
except FrozenInstanceError as e:
    print("frozen", e)
print(hash(f) == hash(F(1.5)), f)
@dataclass
class Q(P):
    z: int = 3
print(Q(1, 2, [], 4))

#: enums
from enum import Enum, IntEnum, Flag, auto
class Color(Enum):
    RED = 1
    GREEN = "g"
    ALIAS = 1
    def pretty(self): return self.name.title()
class N(IntEnum):
    A = 1
    B = 2
class Fl(Flag):
    X = auto()
    Y = auto()
print(Color.RED, Color("g"), Color["RED"], Color.ALIAS is Color.RED, list(Color), Color.GREEN.pretty(), Color.RED.value)
print(N.A + 1, N.B > N.A, Fl.X | Fl.Y, Fl.X in (Fl.X | Fl.Y), [c.name for c in Color], len(N))
for f in (lambda: Color(99), lambda: setattr(Color, "RED", 3), lambda: Color["NO"]):
    try:
        f()
    except (AttributeError, ValueError, KeyError) as e:
        print(type(e).__name__, e)

#: namedtuple and NamedTuple
from collections import namedtuple
from typing import NamedTuple
Pt = namedtuple("Pt", "x y", defaults=[5])
class E(NamedTuple):
    name: str
    age: int = 3
p = Pt(1)
print(p, p.x + p.y, p._replace(x=2), p._asdict(), Pt._fields, E("a"), E("b", 4).age, E("z")[0])
x, y = p
print(x, y, p == (1, 5), sorted([Pt(2), Pt(1)]))

#: abstract classes
from abc import ABC, abstractmethod
class Shape(ABC):
    @abstractmethod
    def area(self): ...
    @property
    @abstractmethod
    def name(self): ...
    def show(self): return f"{self.name} {self.area():.2f}"
class Sq(Shape):
    name = "sq"
    def __init__(self, s): self.s = s
    def area(self): return self.s ** 2
print(Sq(3).show(), isinstance(Sq(1), Shape))
try:
    Shape()
except TypeError as e:
    print("abstract", type(e).__name__)

#: generic classes and typing names
from typing import Generic, TypeVar, Optional, Union, Any, Callable, List, Dict
T = TypeVar("T")
class Stack(Generic[T]):
    def __init__(self) -> None: self.items: List[T] = []
    def push(self, i: T) -> None: self.items.append(i)
    def pop(self) -> Optional[T]: return self.items.pop() if self.items else None
s: Stack[int] = Stack()
s.push(1); s.push(2)
print(s.pop(), s.pop(), s.pop(), list[int], Dict[str, Union[int, None]], Callable[[int], str])

#: class bodies run in order with their own namespace
class C:
    a = 1
    b = a + 1
    def f(self, k=b): return k
    if b > 1:
        c = "yes"
    for i in range(3):
        pass
    del a
    lam = lambda self: self.i
    class Inner:
        v = 9
        def m(self): return C.Inner.v
print(C.b, C().f(), C.c, C.i, C().lam(), C.Inner().m(), hasattr(C, "a"), C.__name__, C.Inner.__qualname__, C.__doc__)

#: class docstring, repr and module
class Doc:
    """Says what."""
    def m(self):
        "method doc"
print(Doc.__doc__, Doc.m.__doc__, Doc, Doc().m.__name__, __name__)

#: monkeypatching own classes and instances
class C:
    def m(self): return "m"
def new(self): return "new"
c = C()
C.m = new
print(c.m())
c.m = lambda: "instance"
print(c.m(), C().m())
C.extra = property(lambda self: 5)
print(c.extra)

#: methods bound, unbound and as callbacks
class C:
    def __init__(self, n): self.n = n
    def add(self, x): return self.n + x
c = C(10)
m = c.add
print(m(1), C.add(c, 2), list(map(c.add, [1, 2])), list(map(str.upper, "ab")), list(map(int.bit_length, [7, 8])), " x ".strip(), str.join("-", "ab"))

#: equality, identity and hashing rules
class E:
    def __init__(self, v): self.v = v
    def __eq__(self, o): return isinstance(o, E) and o.v == self.v
e = E(1)
try:
    {e}
except TypeError as x:
    print(x)
print(e == E(1), e != E(1), e is e, E(1) in [E(1)], [E(2)].index(E(2)), 1 == 1.0 == True, float("nan") in [float("nan")])

#: exceptions of one's own carry data
class AppError(Exception):
    def __init__(self, code, msg):
        super().__init__(msg)
        self.code = code
class Sub(AppError):
    def __str__(self): return f"[{self.code}] {self.args[0]}"
try:
    raise Sub(4, "four")
except AppError as e:
    print(e, repr(e), e.code, e.args, type(e).__name__)

#: subclassing builtins
class L(list):
    def total(self): return sum(self)
class D(dict):
    def __missing__(self, k): self[k] = k * 2; return self[k]
class S(str):
    def shout(self): return self.upper() + "!"
class I(int):
    def __add__(self, o): return I(int(self) + o + 1)
l = L([1, 2]); l.append(3)
d = D(a=1)
d["z"] += "!"
print(l.total(), l, d["q"], d, S("hi").shout(), I(3) + 4, len(S("abc")), isinstance(l, list), S("a,b").split(","))

#: slots
class S:
    __slots__ = ("a", "b")
    def __init__(self): self.a = 1
s = S()
s.b = s.a + 1
print(s.a, s.b)
try:
    s.c = 3
except AttributeError as e:
    print("slots", e)
del s.a
try:
    s.a
except AttributeError as e:
    print(e)

#: descriptors of one's own
class Pos:
    def __init__(self, name): self.name = name
    def __get__(self, obj, owner): return self if obj is None else obj.store.get(self.name, 0)
    def __set__(self, obj, v):
        if v < 0: raise ValueError(self.name)
        obj.store[self.name] = v
    def __delete__(self, obj): del obj.store[self.name]
class M:
    a = Pos("a")
    def __init__(self): self.store = {}
m = M()
m.a = 4
m.a += 2
try:
    m.a = -1
except ValueError as e:
    print("bad", e)
print(m.a, m.store, M.a.name)
del m.a
print(m.a)

#: refused: attribute hooks of one's own
class Proxy:
    def __init__(self, d): self.d = d
    def __getattr__(self, name):
        if name in self.d: return self.d[name]
        raise AttributeError(f"no {name}")
class Log:
    def __setattr__(self, n, v):
        print("set", n)
        super().__setattr__(n, v)
p, l = Proxy({"x": 1}), Log()
l.q = 2
l.q += 1
print(p.x, l.q, hasattr(p, "y"), getattr(p, "z", 0))
try:
    p.y
except AttributeError as e:
    print(e)

#: refused: class hooks of one's own
class Base:
    registry = []
    def __init_subclass__(cls, tag=None, **k):
        super().__init_subclass__(**k)
        Base.registry.append((cls.__name__, tag))
class X(Base, tag="x"): pass
class Y(X): pass
class New:
    def __new__(cls, *a):
        o = super().__new__(cls)
        o.made = True
        return o
    def __class_getitem__(cls, k): return ("item", k)
class Named:
    def __set_name__(self, owner, name): self.label = owner.__name__ + "." + name
class H: field_ = Named()
print(Base.registry, New(1).made, New[3], H.field_.label)
