"""What the compiler accepts means what it means in Python: one program a construct, against the interpreter itself."""

from __future__ import annotations

import textwrap

import pytest

from tests.unit.restrict.restricted import guarded, plainly

pytestmark = pytest.mark.hardens

PROGRAMS = {
    "items in place: one evaluation, target before value": """
        seen = []
        def at(what, value):
            seen.append(what)
            return value
        d = {"a": 1}
        def change():
            d["a"] = 100
            return 5
        at("object", d)[at("key", "a")] += at("value", change())
        (seen, d)
        """,
    "attributes in place": """
        class P:
            def __init__(self):
                self.x, self._y = 1, [1]
        seen = []
        def at(what, value):
            seen.append(what)
            return value
        p = P()
        q = p
        p.x += 1; p.x *= 10; p._y += [2]; p._y *= 2
        at("object", p).x -= at("value", 3)
        at("object", p)._y += at("value", [9])
        (p.x, p._y, seen, q is p)
        """,
    "in place operators of a program's own": """
        class N:
            def __init__(self, v): self.v = v
            def __iadd__(self, o): self.v += o; return self
            def __imatmul__(self, o): self.v = (self.v, o); return self
            def __add__(self, o): return N(self.v + o)
            def __radd__(self, o): return N(o + self.v)
            def __repr__(self): return f"N({self.v})"
        n = m = N(1)
        n += 2; n @= 3
        (n, m is n, 1 + N(2), sum([N(1), N(2)]))
        """,
    "annotations": """
        class P:
            x: int = 1
            y: "list[int]"
            def f(self, a: int, *b: str, c: "x" = 2, **d) -> "P": self.z: int = a; return self
        v: int = 3
        w: int
        p = P().f(4)
        (P.x, v, p.z, hasattr(P, "y"), "w" in dir())
        """,
    "future annotations are not evaluated": """
        from __future__ import annotations
        def f(a: nowhere[1].b) -> missing: return a
        f(1)
        """,
    "annotations are evaluated, in order": """
        seen = []
        def note(x):
            seen.append(x)
            return int
        def f(a: note(1), b: note(2) = note(3)) -> note(4): pass
        v: note(5) = note(6)
        seen
        """,
    "nonlocal and global": """
        total = 0
        def outer():
            n = 0
            def inner():
                nonlocal n
                global total
                n += 1; total += 10
                return n
            inner(); inner()
            return n
        (outer(), total)
        """,
    "walrus and its scope": """
        if (n := len([1, 2, 3])) > 2: print(n)
        found = [y for x in range(5) if (y := x * x) > 3]
        (found, y, any((hit := z) > 2 for z in [1, 2, 3, 4]), hit)
        """,
    "comprehension scopes": """
        x = "outer"
        a = [x for x in range(3)]
        b = {k: v for k, v in zip("ab", range(2))}
        c = {(i, j) for i in range(2) for j in range(i)}
        fs = [lambda: i for i in range(3)]
        g = (i for i in [1, 2])
        (x, a, b, c, [f() for f in fs], list(g))
        """,
    "class bodies": """
        n = 1
        class A:
            n = 2
            m = [n for _ in range(2)]
            k = n
            def f(self): return n
        class B(A):
            def f(self): return super().f() + 10
            class C:
                def who(self): return __name__
        (A.m, A.k, A().f(), B().f(), B.__name__, B.C.__qualname__, B.f.__qualname__, B.__module__, B.C().who())
        """,
    "super, all ways": """
        class A:
            def __init__(self, x): self.x = x
            def go(self): return "A"
            def _hid(self): return "hid"
        class B(A):
            def __init__(self, x):
                super().__init__(x)
                A.__init__(self, x + 1)
            def go(self): return super().go() + super(B, self).go() + super()._hid()
            @classmethod
            def make(cls): return cls(1)
            @staticmethod
            def two(): return 2
        b = B.make()
        (b.x, b.go(), B.two())
        """,
    "class keywords reach the base": """
        from enum import Enum
        from abc import ABC, ABCMeta, abstractmethod
        class Shape(ABC):
            @abstractmethod
            def area(self): ...
        class Sq(Shape):
            def area(self): return 4
        class M(metaclass=ABCMeta): pass
        class Color(Enum):
            RED = 1
            BLUE = "b"
            @property
            def low(self): return self.name.lower()
        try: Shape()
        except TypeError as e: print(e)
        (Sq().area(), Color.RED, Color("b").low, [c.value for c in Color], isinstance(Color.RED, Color))
        """,
    "private names and mangling": """
        class Acc:
            _count = 0
            __secret = 7
            def __init__(self): self.__w = 1; self._y = 2; Acc._count += 1
            def __hidden(self): return self.__w + self.__secret
            def get(self): self.__w += 1; self._y -= 1; return self.__hidden(), self._y
            def drop(self): del self.__w, self._y
            @classmethod
            def count(cls): return cls._count
        a = Acc()
        r = a.get()
        has = hasattr(a, "_Acc__w"), a._Acc__w
        a.drop()
        (r, has, hasattr(a, "_y"), Acc.count(), Acc._Acc__secret)
        """,
    "names with underscores": """
        _x = 1
        __y = 2
        def _f(_a, *, _b=3): return _a + _b
        for _ in range(2): pass
        _, *_rest = [1, 2, 3]
        (_x, __y, _f(1), _, _rest)
        """,
    "the data model": """
        class V:
            def __init__(self, *xs): self.xs = xs
            def __repr__(self): return f"V{self.xs}"
            def __len__(self): return len(self.xs)
            def __getitem__(self, i): return self.xs[i]
            def __contains__(self, x): return x in self.xs
            def __iter__(self): return iter(self.xs)
            def __reversed__(self): return reversed(self.xs)
            def __bool__(self): return bool(self.xs)
            def __eq__(self, o): return isinstance(o, V) and self.xs == o.xs
            def __hash__(self): return hash(self.xs)
            def __lt__(self, o): return self.xs < o.xs
            def __call__(self, x): return x + len(self)
            def __enter__(self): print("in"); return self
            def __exit__(self, *a): print("out", a[0] is ValueError); return True
            def __format__(self, spec): return f"<{spec}>"
            def __matmul__(self, o): return sum(a * b for a, b in zip(self, o))
            def __neg__(self): return V(*(-x for x in self.xs))
            __radd__ = __matmul__
        a, b = V(1, 2), V(3, 4)
        with a as c:
            raise ValueError
        (a, len(a), a[1], a[:1], 2 in a, list(a), list(reversed(a)), not V(), a == V(1, 2), {a: 1}[V(1, 2)], a < b,
         a(3), f"{a:xy}", format(a, "z"), a @ b, -a, sorted([b, a]), c is a, a.__len__(), V.__name__, (3, 4) + a)
        """,
    "descriptors and properties": """
        class D:
            def __get__(self, o, t): return ("got", o is None)
            def __set__(self, o, v): print("set", v)
            def __delete__(self, o): print("deleted")
        class X:
            d = D()
            @property
            def p(self): return 5
            @p.setter
            def p(self, v): print("p", v)
        x = X()
        x.d = 1; x.p = 3; x.p += 4
        del x.d
        try: del x.p
        except AttributeError as e: print("no deleter")
        class Sub(D):
            def __get__(self, o, t): return "sub", super().__get__(o, t)
        def bound(self): return self
        (x.d, X.d, x.p, Sub().__get__(x, X), D.__get__(Sub(), None, X), bound.__get__(3)())
        """,
    "slots, and attributes that are not there": """
        class S:
            __slots__ = ("a", "_b")
            def __init__(self): self.a = 1; self._b = 2
        s = S()
        out = [s.a, s._b]
        for name in ("zz", "_zz"):
            try: setattr(s, name, 1)
            except AttributeError as e: out.append(type(e).__name__)
        try: s.nope
        except AttributeError as e: out.append(str(e))
        try: [].nope
        except AttributeError as e: out.append(str(e))
        out
        """,
    "dynamic attributes": """
        class P: pass
        p = P()
        setattr(p, "x", 1); setattr(p, "_y", 2)
        out = [getattr(p, "x"), getattr(p, "_y"), getattr(p, "z", "no"), hasattr(p, "x"), hasattr(p, "z")]
        delattr(p, "x")
        try: getattr(p, "x")
        except AttributeError as e: out.append(str(e))
        try: getattr(p, 3)
        except TypeError: out.append("name")
        out + [list(map(getattr, ["a"], ["upper"]))[0]()]
        """,
    "match": """
        from dataclasses import dataclass
        from enum import Enum
        class C(Enum):
            R = 1
        @dataclass
        class P:
            x: int
            y: int = 0
        class Q:
            __match_args__ = ("a", "b")
            def __init__(self, a, b): self.a, self.b = a, b
        def f(v):
            match v:
                case C.R: return "red"
                case P(0, y): return ("p0", y)
                case P(x=x) if x > 5: return ("big", x)
                case Q(1, b): return ("q", b)
                case {"k": [first, *rest], **more}: return (first, rest, more)
                case [1, (2 | 3) as n]: return n
                case str() | bytes(): return "text"
                case int(n): return n + 1
                case None | True: return "single"
                case -1.5 | 2j: return "number"
                case _: return "else"
        [f(v) for v in (C.R, P(0, 4), P(9), Q(1, 2), {"k": [1, 2, 3], "z": 0}, [1, 3], "s", b"", 4, None, -1.5, 2j, P(1))]
        """,
    "exceptions": """
        class Mine(ValueError):
            def __init__(self, m, code=3): super().__init__(m); self.code = code
        def f():
            try: 1 / 0
            except ZeroDivisionError as e:
                raise Mine("bad") from e
            finally: print("finally")
        try: f()
        except (Mine, KeyError) as e:
            out = [str(e), e.code, e.args, type(e.__cause__).__name__, e.__context__ is e.__cause__, e.__suppress_context__]
        else: out = None
        try:
            try: raise KeyError("k")
            except KeyError: raise TypeError("t")
        except TypeError as e: out.append(repr(e.__context__))
        try: e
        except NameError: out.append("unbound")
        out
        """,
    "generators": """
        def g(n):
            got = yield n
            print("got", got)
            try: yield from (x * n for x in range(2))
            finally: print("closed")
            return "end"
        it = g(3)
        out = [next(it), it.send("hi"), next(it)]
        try: next(it)
        except StopIteration as e: out.append(e.value)
        def nested():
            r = yield from g(1)
            print("r", r)
        out + list(nested())
        """,
    "star arguments": """
        def f(a, /, b, *c, d=1, **e): return (a, b, c, d, sorted(e.items()))
        xs, kw = [2, 3], {"d": 4, "z": 5}
        first, *middle, last = range(5)
        (f(1, *xs, **kw), f(*xs), [*xs, *xs], {**kw, "q": 1}, first, middle, last, (lambda *a, k=2, **z: (a, k, z))(1, *xs, y=1))
        """,
    "targets everywhere": """
        class O: pass
        o, d = O(), {}
        for o.i in range(3): pass
        (o.a, d["k"]), o._b = (1, 2), 3
        [o.c, *o.d] = [1, 2, 3]
        class M:
            def __enter__(self): return 7
            def __exit__(self, *a): pass
        with M() as o.w, M() as d["w"]: pass
        x = o.x = d["x"] = 5
        [0 for d["n"] in range(4)]
        del o.x, d["x"]
        (o.i, o.a, d, o._b, o.c, o.d, o.w, hasattr(o, "x"))
        """,
    "format strings": """
        w, v = 8, 3.14159
        class P: x = 1
        (f"{v:{w}.{2}f}|{v!r:>10}|{P.x=}|{'a' 'b'}", "{:>5} {}".format(1, "x"), "{0[k]} {1.x}".format({"k": 2}, P),
         "{a:{b}}".format(a=1, b=">4"), "%s %(a)s" % {"a": 1} if False else "%d-%s" % (1, "z"), "{x}".format_map({"x": 3}),
         list(map("<{}>".format, [1, 2])), str.format("{}", 1))
        """,
    "chained comparison evaluates once": """
        seen = []
        def n(x): seen.append(x); return x
        (n(1) < n(3) < n(2) < n(9), seen, 1 < 2 == 2 in [2], not 1 is 2)
        """,
    "loops": """
        out = []
        for i in range(5):
            if i == 1: continue
            if i == 4: break
            out.append(i)
        else: out.append("never")
        while out and len(out) < 6: out.append(len(out))
        else: out.append("done")
        (out, i)
        """,
    "decorators and function attributes": """
        import functools
        def count(f):
            @functools.wraps(f)
            def g(*a, **k):
                g.calls += 1
                g._last = a
                return f(*a, **k)
            g.calls = 0
            return g
        def named(f):
            def g(): return f()
            g.__name__, g.__doc__ = f.__name__, f.__doc__
            return g
        @count
        def add(a, b=1):
            "Adds."
            return a + b
        @named
        def hi(): return "hi"
        add(1); add(2, b=3)
        (add.calls, add._last, add.__name__, add.__doc__, hi(), hi.__name__)
        """,
    "type of one argument": """
        class A: pass
        (type(1), type(A()) is A, type(A) is type, isinstance(A, type), isinstance(1, type), type(1).__name__,
         type(None), {type("x"): 1}, A().__class__.__name__, type)
        """,
    "imports": """
        import math, json as j
        import collections.abc
        import urllib.parse as up
        from math import pi as p, sqrt
        from collections import OrderedDict, abc
        def f():
            from math import floor
            import string
            return floor(p), string.digits
        (math.floor(p), j.dumps({"a": [1]}), isinstance([], collections.abc.Sized), up.quote("a b"), sqrt(4), f(),
         math.__name__, abc.Sized is collections.abc.Sized)
        """,
    "implicit imports of C code": """
        from datetime import date, datetime
        (date(2024, 1, 31).strftime("%d %b"), datetime.strptime("2024-01-02", "%Y-%m-%d").day)
        """,
    "dataclasses and named tuples": """
        from dataclasses import dataclass, field, replace, asdict
        from collections import namedtuple
        from typing import NamedTuple
        @dataclass(order=True, frozen=True, slots=True)
        class P:
            x: int
            tags: list = field(default_factory=list, compare=False)
            def __post_init__(self): print("made", self.x)
        @dataclass
        class Q(object):
            _hidden: int = 3
            def bump(self): self._hidden += 1; return self._hidden
        T = namedtuple("T", "a b")
        class N(NamedTuple):
            a: int
            b: str = "z"
        t = T(1, 2)
        (P(1) < P(2), replace(P(1), x=5), asdict(P(3)), Q().bump(), t._replace(a=9), t._asdict(), T._fields, N(1), N(2)._replace(b="y"))
        """,
    "coroutines": """
        import asyncio
        class Res:
            def __init__(self): self._open = 0
            async def __aenter__(self): self._open += 1; return self
            async def __aexit__(self, *a): self._open -= 1
        class Count:
            def __init__(self, n): self.n = n
            def __aiter__(self): return self
            async def __anext__(self):
                if not self.n: raise StopAsyncIteration
                self.n -= 1
                return self.n
        async def gen(n):
            for i in range(n): yield i
        async def main():
            out = []
            async with Res() as r, Res(): out.append(r._open)
            async for x in Count(2): out.append(x)
            out += [y async for y in gen(3) if y] + [await asyncio.sleep(0, z) for z in "ab"]
            out.append(await asyncio.gather(*(asyncio.sleep(0, k) for k in range(2))))
            return out, r._open
        asyncio.run(main())
        """,
    "what programs say of themselves": """
        __version__ = "1"
        __all__ = ["f"]
        __all__ += ["g"]
        def f(): return __version__, __name__
        (f(), __all__)
        """,
    "an error in the midst of an access": """
        class P:
            @property
            def bad(self): raise AttributeError("mine")
            @property
            def worse(self): raise KeyError("k")
            @property
            def _hid(self): raise ValueError("h")
        out = []
        for f in (lambda p: p.bad, lambda p: p.worse, lambda p: p._hid, lambda p: p._none, lambda p: undefined._x):
            try: f(P())
            except Exception as e: out.append(f"{type(e).__name__} {e}")
        out
        """,
    "private names on subclasses of a library's": """
        from collections import OrderedDict, Counter
        class C(Counter):
            def __init__(self, *a): super().__init__(*a); self._n = 1
            def bump(self): self._n += 1; return self._n, self.most_common(1)
        class E(Exception):
            _code = 3
            def __init__(self, m): super().__init__(m); self._m = m
        try: raise E("x")
        except E as e: out = e._m, e._code
        (C("aab").bump(), out)
        """,
    "a semicolon hides nothing here": "x = 1; x + 1",
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore::SyntaxWarning")
def test_a_program_means_what_it_means_in_python(name: str) -> None:
    source = textwrap.dedent(PROGRAMS[name]).strip()
    assert guarded(source) == plainly(source)
