#: else clauses of loops and try
for i in range(3):
    if i == 5: break
else:
    print("no break")
for i in range(3):
    if i == 1: break
else:
    print("never")
n = 2
while n:
    n -= 1
else:
    print("while else", n)
try:
    pass
except ValueError:
    print("never")
else:
    print("else")
finally:
    print("finally")

#: finally runs and overrides
def f(k):
    try:
        if k == 0: return "try"
        if k == 1: raise KeyError("k")
        return "end"
    except KeyError as e:
        return f"except {e}"
    finally:
        print("finally", k)
        if k == 2: return "finally wins"
print(f(0), f(1), f(2))
def loop():
    out = []
    for i in range(4):
        try:
            if i == 1: continue
            if i == 3: break
            out.append(i)
        finally:
            out.append("f")
    return out
print(loop())

#: exceptions: chaining, re-raising, context and scopes
try:
    try:
        1 / 0
    except ZeroDivisionError as z:
        raise ValueError("outer") from z
except ValueError as e:
    print(e, repr(e.__cause__), e.__suppress_context__)
try:
    try:
        [][0]
    except IndexError:
        {}["k"]
except KeyError as e:
    print(repr(e), repr(e.__context__))
try:
    try:
        int("x")
    except ValueError:
        raise
except Exception as e:
    print("re-raised", e)
e = "outside"
try:
    raise TypeError("t")
except (ValueError, TypeError) as e:
    pass
try:
    e
except NameError as x:
    print(x)
try:
    raise ValueError("a") from None
except ValueError as v:
    print(v.__cause__, v.__context__)

#: raise of classes, instances and nonsense
for thing in (ValueError, ValueError("v"), KeyError("k"), 5, None):
    try:
        raise thing
    except BaseException as e:
        print(type(e).__name__, e)
try:
    raise
except RuntimeError as e:
    print(e)
def check(x):
    assert x > 0, f"bad {x}"
    return x
try:
    check(-1)
except AssertionError as e:
    print("assert", e)

#: exception matching by tuples, order and hierarchy
def kind(f):
    try:
        f()
    except LookupError as e:
        return "lookup", type(e).__name__
    except (TypeError, ArithmeticError) as e:
        return "type/arith", type(e).__name__
    except Exception as e:
        return "other", type(e).__name__
print([kind(f) for f in (lambda: {}[1], lambda: [][1], lambda: 1 / 0, lambda: 1 + "", lambda: int("q"), lambda: nope, lambda: (1).x)])

#: with statements: several items, order, suppression, targets
class C:
    def __init__(self, n, swallow=False): self.n, self.s = n, swallow
    def __enter__(self):
        print("enter", self.n)
        return self.n, self.n * 2
    def __exit__(self, t, v, tb):
        print("exit", self.n, t and t.__name__, v)
        return self.s
with C(1) as (a, b), C(2) as c, C(3, True):
    print(a, b, c)
    raise ValueError("inside")
print("go on")
d = {}
with C(4) as d["x"]:
    pass
print(d)
try:
    with C(5):
        1 / 0
except ZeroDivisionError:
    print("through")

#: contextlib
from contextlib import contextmanager, suppress, closing, ExitStack, nullcontext
@contextmanager
def tag(n):
    print("<", n)
    try:
        yield n.upper()
    except KeyError as e:
        print("caught", e)
    finally:
        print(">", n)
with tag("a") as x, tag("b"):
    print(x)
    raise KeyError("k")
with suppress(ZeroDivisionError):
    1 / 0
with nullcontext(5) as n: print(n)
with ExitStack() as st:
    st.callback(print, "callback")
    print(st.enter_context(tag("z")))

#: match on values, sequences, mappings, classes, guards and captures
from dataclasses import dataclass
@dataclass
class P:
    x: int
    y: int
class K:
    RED = "red"
def m(v):
    match v:
        case 0 | 1: return "small"
        case -3.5: return "negative"
        case "s": return "str"
        case None: return "none"
        case True: return "never: True == 1"
        case K.RED: return "dotted"
        case []: return "empty"
        case [x]: return "one", x
        case [1, *rest]: return "starts with 1", rest
        case [_, (2 | 3) as mid, *_]: return "mid", mid
        case (a, b) if a == b: return "pair", a
        case {"k": k, "n": {"m": n}}: return "map", k, n
        case {"t": int() | str() as t, **rest}: return "typed", t, rest
        case P(0, y): return "P0", y
        case P(x=px, y=3): return "P3", px
        case P() as p: return "P", p.x
        case str() as s if len(s) > 3: return "long", s
        case int(n) if n > 100: return "big", n
        case float() | complex(): return "number"
        case _: return "other", v
for v in (0, 1, -3.5, "s", None, True, "red", [], [9], [1, 2, 3], (0, 3, 1), (7, 7), (7, 8), {"k": 1, "n": {"m": 2}}, {"t": 5, "u": 6}, P(0, 9), P(4, 3), P(5, 5), "long one", "shrt", "abc", 1000, 50, 2.5, b"x", {1}):
    print(m(v))

#: match binds even when a later part fails
match (1, 2, 3):
    case (a, 9, c): print("no")
    case (a, b, c) if a > 5: print("guard")
    case _: print("bound", a, b, c)
match {"a": 1, "b": 2}:
    case {"a": x}: print(x)
match [1, [2, [3, 4]]]:
    case [a, [b, [*c]]]: print(a, b, c)

#: del of names, items, attributes and tuples of them
a, b, c = 1, [1, 2, 3], {"k": 1}
class O: pass
o = O(); o.p = 1
del a, (b[0], c["k"]), o.p
print(b, c)
try:
    a
except NameError as e:
    print(e)
def f():
    x = 1
    del x
    return x
try:
    f()
except UnboundLocalError as e:
    print(e)

#: async functions, gather, iteration and context managers
import asyncio
class Src:
    def __init__(self, n): self.n = n
    def __aiter__(self): return self
    async def __anext__(self):
        if self.n == 0: raise StopAsyncIteration
        self.n -= 1
        await asyncio.sleep(0)
        return self.n
class Cm:
    async def __aenter__(self): return "in"
    async def __aexit__(self, *a): print("out", a[0])
async def agen():
    for i in range(3): yield i
async def work(k):
    await asyncio.sleep(0)
    return k * 2
async def main():
    print(await asyncio.gather(*(work(i) for i in range(3))))
    async for i in Src(2): print("i", i)
    else: print("async else")
    async for a, b in pairs(): print(a, b)
    async with Cm() as c: print(c)
    print([x async for x in agen()], {x: await work(x) async for x in agen() if x})
    t = asyncio.create_task(work(21))
    print(await t)
    q = asyncio.Queue()
    await q.put(1)
    print(await q.get(), q.empty())
async def pairs():
    yield 1, 2
asyncio.run(main())

#: await at the top level
import asyncio
async def f(x):
    await asyncio.sleep(0)
    return x + 1
print(await f(1))
[await f(n) for n in range(3)]

#: break and continue in nested loops, and iterating while changing
out = []
for i in range(4):
    for j in range(4):
        if j == i: continue
        if j > 2: break
        out.append((i, j))
    else:
        out.append("else")
        continue
    out.append("b")
print(out)
d = {"a": 1}
try:
    for k in d: d[k + "x"] = 1
except RuntimeError as e:
    print(e)
l = [1, 2, 3]
for x in l:
    if len(l) < 6: l.append(x * 10)
print(l)
