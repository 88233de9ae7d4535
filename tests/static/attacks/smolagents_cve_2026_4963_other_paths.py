#: augmented assignment reads it
class C: pass
c = C()
def f(): pass
loot = [f]
f.__globals__ |= {"x": 1}
print("ESC" + "APED" if "x" in loot[0].__globals__ else "")

#: augmented assignment on a name's private attribute
loot = []
def f(): pass
f.__code__ += 1

#: a call's attribute
loot = [(lambda: 0).__getattribute__("__globals__")]

#: a with statement's attribute
loot = []
class W:
    def __enter__(self): return (lambda: 0).__globals__
    def __exit__(self, *a): pass
with W() as w:
    loot.append(w)

#: a with target
class C: pass
c = C()
class W:
    def __enter__(self): return C
    def __exit__(self, *a): pass
with W() as c.__class__:
    pass
loot = [c.__dict__]
print("ESC" + "APED")

#: a loop's target
def f(): pass
def g(): return loot
loot = []
for f.__code__ in [g.__code__]: pass
loot.append(f.__code__)

#: a deletion
def f(): pass
del f.__defaults__
loot = [f.__globals__]

#: an unpacking target
def f(): pass
def g(): pass
f.__code__, a = g.__code__, 1
loot = [f.__code__]

#: setattr with the name as text
def f(): pass
setattr(f, "__code__", (lambda: 0).__code__)
loot = [f.__code__]

#: a decorator's attribute
loot = []
@(lambda: 0).__globals__.get
def f(): pass

#: a keyword pattern in a class call
match (lambda: 0):
    case object(__globals__=g): loot = [g]

#: a subscript's attribute
loot = [[(lambda: 0)][0].__globals__["__builtins__"]]
