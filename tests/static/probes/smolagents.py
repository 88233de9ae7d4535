#: decorators and property are honoured
class T:
    @property
    def v(self): return 3
def twice(f): return lambda x: f(f(x))
@twice
def inc(x): return x + 1
print(T().v, inc(1))

#: f-string conversion is honoured
print(f"{'a'!r} {'é'!a}")

#: list targets assign
[a, b] = [1, 2]
print(a, b)

#: starred displays flatten
xs = [1, 2]
print([*xs, 3])

#: missing and extra arguments are errors
def f(a): return a
for args in ([], [1, 2]):
    try:
        f(*args)
        print("accepted")
    except TypeError:
        print("TypeError")

#: no return means None
def f(): 1 + 1
print(f())

#: loop else runs
for _ in []: pass
else: print("for else")
while False: pass
else: print("while else")

#: print honours sep and end
print("a", "b", sep="-", end="!\n")

#: a misspelt name is an error
value = 1
try:
    print(valeu)
except NameError as e:
    print(e)

#: augmented assignment on an undefined name is an error
try:
    undefined_total += 1
except NameError as e:
    print("NameError")

#: a user's own function of a builtin's name is the user's
def sum(x): return "my sum"
print(sum([1]))

#: loud gaps of smolagents
a, *b = [1, 2, 3]
if (n := len(b)) == 2: pass
def gen():
    x = yield 1
    yield from [2, 3]
def kw(*, k, **r): return k, r
c = 0
def g():
    global c
    c = 5
g()
class O: pass
o = O(); o.x = 1
del o.x
print(b, n, list(gen()), kw(k=1, z=2), c, {**{"a": 1}}, hasattr(o, "x"), (lambda q=3, **k: (q, k))(z=1))
try:
    try: 1 / 0
    except ZeroDivisionError: raise
except ArithmeticError as e: print(e)
print(repr("x"), bin(3), format(3.14159, ".2f"), slice(1), object() is not None, bytes(2), bytearray(2), frozenset())
