#: closures, nonlocal and global
x = "global"
def outer():
    x = "outer"
    def inner():
        nonlocal x
        x += "+inner"
        def deep():
            global x
            x += "+deep"
            return x
        return deep(), x
    return inner(), x
print(outer(), x)

#: late and early binding, and a function without return
def make():
    out = []
    for i in range(3):
        def f(a, b=i): return a, b, i
        out.append(f)
    return out
print([f("a") for f in make()])
def f():
    5
def g():
    x = 7
print(f(), g(), (lambda: None)())

#: decorators apply bottom up, with arguments, on functions and classes
def deco(tag):
    print("make", tag)
    def wrap(fn):
        print("apply", tag, fn.__name__)
        def inner(*a, **k):
            return (tag, fn(*a, **k))
        return inner
    return wrap
@deco("a")
@deco("b")
def f(x): return x
print(f(3))
def mark(cls):
    cls.mark = cls.__name__
    return cls
@mark
class C: pass
print(C.mark)

#: functools wraps, lru_cache, partial, reduce, total_ordering
import functools
def d(f):
    @functools.wraps(f)
    def w(*a): return f(*a) + 1
    return w
@d
def named(a):
    "docs"
    return a
print(named(1), named.__name__, named.__doc__)
@functools.lru_cache(maxsize=None)
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
print(fib(60), fib.cache_info())
print(functools.partial(pow, 2)(5), functools.reduce(lambda a, b: a * b, [1, 2, 3, 4], 1))
@functools.total_ordering
class T:
    def __init__(self, v): self.v = v
    def __eq__(self, o): return self.v == o.v
    def __lt__(self, o): return self.v < o.v
print(T(1) <= T(2), T(3) >= T(4), max([T(1), T(5)], key=lambda t: t.v).v)
print(sorted([3, 1, 2], key=functools.cmp_to_key(lambda a, b: b - a)))

#: function attributes
def f(): f.calls += 1; return f.calls
f.calls = 0
f(); f()
print(f.calls, f.__name__)
del f.calls
try:
    f.calls
except AttributeError as e:
    print(e)

#: generators: send, throw, close, return value
def g():
    got = []
    try:
        while True:
            x = yield len(got)
            got.append(x)
    except ValueError as e:
        yield ("caught", str(e), got)
    finally:
        print("closed")
    return "done"
it = g()
print(next(it), it.send("a"), it.send("b"), it.throw(ValueError("v")))
try:
    next(it)
except StopIteration as e:
    print("value", e.value)
it = g(); next(it); it.close()

#: yield from delegates values, exceptions and results
def inner():
    x = yield 1
    print("got", x)
    try:
        yield 2
    except KeyError:
        yield "key"
    return "inner result"
def outer():
    r = yield from inner()
    yield r
o = outer()
print(next(o), o.send("s"), o.throw(KeyError("k")), next(o))
def flat(x):
    if isinstance(x, list):
        for y in x: yield from flat(y)
    else:
        yield x
print(list(flat([1, [2, [3, []], 4]])))

#: generator expressions with several loops and conditions keep their scopes
n = 3
print(list((i, j, n) for i in range(n) for j in range(i) if (i + j) % 2))
print(sum(x * y for x, y in zip(range(4), range(1, 5))))
i = "kept"
[i for i in range(3)]; {i for i in range(2)}; {i: i for i in range(2)}
print(i)
gen = (i for i in [1, 2, 3])
print(next(gen), list(gen), list(gen))

#: comprehension scope inside classes and functions
class C:
    data = [1, 2, 3]
    total = [x for x in data]
    try:
        bad = [x * len(data) for x in data]
    except NameError as e:
        bad = str(e)
print(C.total, C.bad)
def f(k): return [[k * i + j for j in range(2)] for i in range(2)], {k: {k} for k in "ab"}
print(f(10))

#: star displays of every kind
a, b = [1, 2], {"x": 1}
print([*a, 3, *a], (*a, *a), {*a, 5}, {**b, "y": 2, **{"x": 9}}, [*"ab", *range(2), *{7}])

#: lambda defaults, star and keyword-only
print((lambda a, b=2, *c, d=4, **e: (a, b, c, d, e))(1, 5, 6, d=7, z=8), (lambda: (yield))() is not None)

#: recursion and its error
def depth(n): return 0 if n == 0 else 1 + depth(n - 1)
print(depth(100))
def forever(): return forever()
try:
    forever()
except RecursionError as e:
    print(type(e).__name__)

#: annotations are evaluated or not as in Python
def f(a: int, *b: "str", c: list[int] = None, **d: (print("annotation") or 1)) -> dict[str, int]:
    v: undefined_but_local = 3
    w: int
    return a
x: int = 5
y: "later"
print(f(1), x)
class K:
    z: int = 1
    q: str
    def m(self, o: "K") -> "K": return self
k = K()
k.attr: int = 7
lst = [0]
lst[0]: int = 8
print(k.attr, lst, K.z)
try:
    undefined: nope = 1
except NameError as e:
    print(e)

#: iterator protocol by hand, next default, iter sentinel
class It:
    def __init__(self, n): self.n = n
    def __iter__(self): return self
    def __next__(self):
        if self.n == 0: raise StopIteration
        self.n -= 1
        return self.n
print(list(It(3)), next(It(0), "default"), max(It(4)), 2 in It(5), [*It(2)])
vals = [3, 2, 1, 0, 5]
print(list(iter(vals.pop, 2)), vals)
class Old:
    def __getitem__(self, i):
        if i > 3: raise IndexError
        return i * i
print(list(Old()), 4 in Old(), [a for a in Old()])

#: builtins with keys and defaults
words = ["pear", "fig", "apple"]
print(sorted(words, key=len), sorted(words, reverse=True), min(words, key=len), max([], default="none"), sum([[1], [2]], []))
print(list(map(lambda a, b: a + b, [1, 2], [3, 4])), list(filter(None, [0, 1, "", "a"])), list(zip("ab", [1, 2], strict=True)))
print(list(enumerate("ab", 1)), list(reversed([1, 2])), any([0, 1]), all([]), divmod(-7, 2), round(2.5), round(-1.25, 1), pow(3, -1, 7))
print(bin(10), oct(8), hex(255), chr(97), ord("a"), ascii("é"), repr("é"), abs(-3), hash("a") == hash("a"), int("ff", 16), float("1e3"), complex(1, 2))
print(isinstance(True, int), issubclass(bool, int), callable(len), type(3).__name__, bytes([65]), bytearray(b"x"), frozenset([1]), bool([]), str(b"x", "ascii"))

#: getattr, setattr, hasattr with plain names
class O: pass
o = O()
setattr(o, "a", 1)
print(getattr(o, "a"), getattr(o, "b", "default"), hasattr(o, "a"), hasattr(o, "zz"))
delattr(o, "a")
for f in (lambda: getattr(o, "a"), lambda: o.missing, lambda: o.missing(), lambda: (1).x, lambda: "".nope, lambda: O.nope, lambda: None.x):
    try:
        f()
    except AttributeError as e:
        print(e)

#: prints inside functions appear, with sep, end and flush
def f():
    print("in f", end="|")
    def g(): print("a", "b", sep="-", flush=True)
    g()
f()
print(*range(3), sep=",")
print()
p = print
p("alias")
list(map(print, "xy"))

#: a misspelt name is not taken for a similar one
counter = 1
try:
    print(conter)
except NameError as e:
    print(e)
log = 3
print(log)
