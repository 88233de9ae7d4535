#: evaluation order of calls, operators and displays
log = []
def t(x):
    log.append(x)
    return x
t(1) + t(2) * t(3)
[t(4), t(5), *[t(6), t(7)]]
{t(8): t(9), t(10): t(11)}
(lambda *a, **k: None)(t(12), *[t(13)], k=t(14), **{"m": t(15)})
print(log)

#: assignment evaluates the value before the target
def t(n, v):
    print(n)
    return v
d = {}
t("target", d)[t("key", "k")] = t("value", 1)
a, b = {}, {}
t("a", a)[t("ka", 1)] = t("b", b)[t("kb", 2)] = t("v", 3)
print(d, a, b)

#: augmented assignment on an item evaluates once and reads before the right side
def t(n, v):
    print(n)
    return v
d = {"k": [1]}
def f():
    d["k"] = [100]
    return [2]
t("d", d)[t("k", "k")] += f()
print(d)

#: augmented assignment on an attribute evaluates once
class P:
    x = 1
p = P()
count = 0
def get():
    global count
    count += 1
    return p
get().x += 4
get().x **= 2
print(p.x, P.x, count)

#: nested augmented assignment targets
grid = [[1, 2], [3, 4]]
i = 0
def nxt():
    global i
    i += 1
    return i - 1
grid[nxt()][nxt()] *= 10
grid[1][0] -= 3; grid[1][1] //= 3
print(grid, i)

#: every augmented operator on name, item and attribute
class O: pass
o = O()
for start in (12, 7):
    d = {"v": start}
    o.v = start
    n = start
    n += 3; d["v"] += 3; o.v += 3
    n -= 1; d["v"] -= 1; o.v -= 1
    n *= 5; d["v"] *= 5; o.v *= 5
    n //= 2; d["v"] //= 2; o.v //= 2
    n %= 13; d["v"] %= 13; o.v %= 13
    n **= 3; d["v"] **= 3; o.v **= 3
    n <<= 2; d["v"] <<= 2; o.v <<= 2
    n >>= 1; d["v"] >>= 1; o.v >>= 1
    n |= 33; d["v"] |= 33; o.v |= 33
    n &= 1023; d["v"] &= 1023; o.v &= 1023
    n ^= 5; d["v"] ^= 5; o.v ^= 5
    n /= 4; d["v"] /= 4; o.v /= 4
    print(n, d, o.v)

#: in-place methods are preferred and may return another object
class A:
    def __init__(self, v): self.v = v
    def __iadd__(self, o):
        print("iadd", o)
        self.v += o
        return self
    def __isub__(self, o): return NotImplemented
    def __sub__(self, o): return "sub%r" % o
    def __imatmul__(self, o): return A(self.v * o)
a = b = A(1)
a += 2
print(a is b, b.v)
a @= 4
print(a is b, a.v)
c = [A(5)]
c[0] -= 3
print(c)
x = y = [1]
x += (2, 3)
print(x is y, y)

#: a tuple's item grows in place and the store still fails
t = ([1],)
try:
    t[0] += [2]
except TypeError as e:
    print(type(e).__name__, e)
print(t)

#: augmented assignment to an unbound name
def f():
    n += 1
    return n
try:
    f()
except UnboundLocalError as e:
    print("unbound", e)
try:
    missing_name += 1
except NameError as e:
    print("name", e)

#: slices read, write, delete and grow in place
a = list(range(10))
a[2:5] = "xy"
a[::3] = [0] * len(a[::3])
del a[1:3], a[-1]
a[1:2] += [7, 7]
print(a, a[::-1], a[-3:], a[:], a[1:-1:2])
s = slice(1, 3)
print(a[s], "hello"[s], (1, 2, 3, 4)[s], s.start, s.indices(9))

#: item protocol gets slices and tuples as they are
class G:
    def __getitem__(self, k): return k
    def __setitem__(self, k, v): print("set", k, v)
    def __delitem__(self, k): print("del", k)
g = G()
print(g[1], g[1:2], g[1:2, ..., None], g[()], g[:, 0], g[1,])
g[1:2] = 3
del g[...], g[0:1]
g["a"] += "b"

#: comparison chains evaluate each operand once and stop early
def t(v):
    print(v, end=" ")
    return v
print(t(1) < t(2) < t(3), t(3) < t(2) < t(1), 1 < t(5) > t(2) != t(9) in (9, t(8)))

#: boolean operators return operands and short circuit
def t(v):
    print("t", v)
    return v
print(t(0) or t("") or t("x"), t(1) and t([]) and t(9), not t(0))
print(1 if t(0) else 2 if t(3) else 4)

#: comparison results need not be booleans
class V:
    def __lt__(self, o): return [1]
    def __eq__(self, o): return "eq"
    def __ne__(self, o): return ""
    def __contains__(self, o): return "yes"
print(V() < 1, V() == 1, V() != 1, 1 in V(), 1 not in V(), 1 > V())

#: reflected operators, NotImplemented and subclass priority
class A:
    def __init__(self, n): self.n = n
    def __add__(self, o): return NotImplemented if isinstance(o, str) else f"A+{o}"
    def __radd__(self, o): return f"{o}+A"
    def __mul__(self, o): return "mul"
    def __rmul__(self, o): return "rmul"
    def __pow__(self, o, m=None): return ("pow", o, m)
    def __rpow__(self, o): return ("rpow", o)
    def __neg__(self): return "neg"
    def __pos__(self): return "pos"
    def __invert__(self): return "inv"
    def __abs__(self): return "abs"
    def __divmod__(self, o): return "divmod"
    def __rdivmod__(self, o): return "rdivmod"
    def __matmul__(self, o): return "matmul"
    def __rmatmul__(self, o): return "rmatmul"
    def __lshift__(self, o): return "<<"
    def __rand__(self, o): return "rand"
    def __rxor__(self, o): return "rxor"
class B(A):
    def __radd__(self, o): return "B.radd"
a = A(1)
print(a + 1, 1 + a, a * 2, 2 * a, a ** 2, 2 ** a, pow(a, 2, 3), -a, +a, ~a, abs(a), divmod(a, 1), divmod(1, a))
print(a @ 1, 1 @ a, a << 1, 1 & a, 1 ^ a, sum([a], 5))
print(type(A(1) + B(2)).__name__)
try:
    a + "s"
except TypeError as e:
    print(e)

#: walrus binds in the enclosing function, also from comprehensions
def f(data):
    if (n := len(data)) > 2 and (m := n * 2):
        pass
    found = [last := x for x in data if (y := x % 3)]
    return n, m, found, last, y
print(f([4, 6, 8, 9]))
print([z := 5, z ** 2], z)
while (k := 3) and z > k:
    z -= 1
print(z)

#: star arguments and keyword merging
def f(a, b=2, /, c=3, *args, d, e=5, **kw):
    return a, b, c, args, d, e, sorted(kw.items())
print(f(1, d=4), f(1, 2, 3, 4, 5, d=6, z=7, y=8), f(*[1, 2], *(3, 4), **{"d": 1}, **{"q": 2}))
for bad in (lambda: f(), lambda: f(1), lambda: f(a=1, d=2), lambda: f(1, d=2, **{"d": 3}), lambda: f(*1), lambda: f(**[1])):
    try:
        print(bad())
    except TypeError as e:
        print("TypeError", e)

#: calls with too few and too many arguments are errors
def f(a, b): return a
for args in ((), (1,), (1, 2), (1, 2, 3)):
    try:
        print(f(*args))
    except TypeError as e:
        print(e)

#: defaults are evaluated once, at definition
calls = []
def d():
    calls.append(1)
    return []
def f(x, acc=d()):
    acc.append(x)
    return acc
f(1); print(f(2), len(calls))
fs = [lambda i=i: i for i in range(3)] + [lambda: i for i in range(3)]
print([g() for g in fs])

#: unpacking in all its places
a, b = b, a = 1, 2
(c, [d, *e]), f = (1, "xyz"), {5: 6}
*g, h = range(4)
[i, j] = {"p": 1, "q": 2}
k, = [9]
print(a, b, c, d, e, f, g, h, i, j, k)
for x, (y, *z) in [(1, (2, 3, 4)), (5, "ab")]:
    print(x, y, z)
print([p + q for p, q in [(1, 2), (3, 4)]], {p: q for p, (q, _) in [(1, (2, 3))]})
for values in ((1, 2, 3), (1,), 5):
    try:
        a, b = values
    except (TypeError, ValueError) as e:
        print(type(e).__name__, e)

#: unpacking targets with items and attributes
class O: pass
o, d = O(), {}
o.x, d["y"], (o.z, *d["w"]) = 1, 2, "abc"
print(o.x, d, o.z)
for d["i"] in range(3): pass
for o.x in "ab": pass
for o.x, d["q"] in [(1, 2)]: pass
print(d["i"], o.x, d["q"])
