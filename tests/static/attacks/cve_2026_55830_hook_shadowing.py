#: a class's name named _getattr_
loot = []
class C: pass
c = C()
class _getattr_: pass
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a class's name named _iter_unpack_sequence_
loot = []
class C: pass
c = C()
class _iter_unpack_sequence_: pass
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a class's name named _write_
loot = []
class C: pass
c = C()
class _write_: pass
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a comprehension's target named __import__
loot = []
class C: pass
c = C()
loot.append([c.__class__ for __import__ in [(lambda o, *a, **k: loot.append(o) or o)]])

#: a comprehension's target named _getattr_
loot = []
class C: pass
c = C()
loot.append([c.__class__ for _getattr_ in [(lambda o, *a, **k: loot.append(o) or o)]])

#: a comprehension's target named _write_
loot = []
class C: pass
c = C()
loot.append([c.__class__ for _write_ in [(lambda o, *a, **k: loot.append(o) or o)]])

#: a deletion named _getattr_
loot = []
class C: pass
c = C()
del _getattr_

#: a deletion named _write_
loot = []
class C: pass
c = C()
del _write_

#: a double-starred parameter named _getattr_
loot = []
class C: pass
c = C()
def f(**_getattr_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f(a=(lambda o, *a, **k: loot.append(o) or o))

#: a double-starred parameter named _inplacevar_
loot = []
class C: pass
c = C()
def f(**_inplacevar_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f(a=(lambda o, *a, **k: loot.append(o) or o))

#: a double-starred parameter named _write_
loot = []
class C: pass
c = C()
def f(**_write_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f(a=(lambda o, *a, **k: loot.append(o) or o))

#: a from import named _getattr_
loot = []
class C: pass
c = C()
from math import sqrt as _getattr_
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a from import named _write_
loot = []
class C: pass
c = C()
from math import sqrt as _write_
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a function's name named _getattr_
loot = []
class C: pass
c = C()
def _getattr_(o, *a): return o
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a function's name named _unpack_sequence_
loot = []
class C: pass
c = C()
def _unpack_sequence_(o, *a): return o
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a function's name named _write_
loot = []
class C: pass
c = C()
def _write_(o, *a): return o
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a global declaration named __metaclass__
loot = []
class C: pass
c = C()
def f():
    global __metaclass__
    __metaclass__ = (lambda o, *a, **k: loot.append(o) or o)
f()
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a global declaration named _getattr_
loot = []
class C: pass
c = C()
def f():
    global _getattr_
    _getattr_ = (lambda o, *a, **k: loot.append(o) or o)
f()
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a global declaration named _write_
loot = []
class C: pass
c = C()
def f():
    global _write_
    _write_ = (lambda o, *a, **k: loot.append(o) or o)
f()
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a keyword-only parameter named _getattr_
loot = []
class C: pass
c = C()
def f(*, _getattr_=(lambda o, *a, **k: loot.append(o) or o)):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a keyword-only parameter named _getitem_
loot = []
class C: pass
c = C()
def f(*, _getitem_=(lambda o, *a, **k: loot.append(o) or o)):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a keyword-only parameter named _write_
loot = []
class C: pass
c = C()
def f(*, _write_=(lambda o, *a, **k: loot.append(o) or o)):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a lambda's parameter named _apply_
loot = []
class C: pass
c = C()
(lambda _apply_: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a lambda's parameter named _getattr_
loot = []
class C: pass
c = C()
(lambda _getattr_: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a lambda's parameter named _write_
loot = []
class C: pass
c = C()
(lambda _write_: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a lambda's positional-only parameter named _getattr_
loot = []
class C: pass
c = C()
(lambda _getattr_, /: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a lambda's positional-only parameter named _print_
loot = []
class C: pass
c = C()
(lambda _print_, /: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a lambda's positional-only parameter named _write_
loot = []
class C: pass
c = C()
(lambda _write_, /: loot.append(c.__class__))((lambda o, *a, **k: loot.append(o) or o))

#: a loop's target named __metaclass__
loot = []
class C: pass
c = C()
for __metaclass__ in [(lambda o, *a, **k: loot.append(o) or o)]:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a loop's target named _getattr_
loot = []
class C: pass
c = C()
for _getattr_ in [(lambda o, *a, **k: loot.append(o) or o)]:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a loop's target named _write_
loot = []
class C: pass
c = C()
for _write_ in [(lambda o, *a, **k: loot.append(o) or o)]:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a match alias named _getattr_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case object() as _getattr_:
        loot.append(c.__class__)

#: a match alias named _print_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case object() as _print_:
        loot.append(c.__class__)

#: a match alias named _write_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case object() as _write_:
        loot.append(c.__class__)

#: a match capture named _getattr_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case _getattr_:
        loot.append(c.__class__)

#: a match capture named _getiter_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case _getiter_:
        loot.append(c.__class__)

#: a match capture named _write_
loot = []
class C: pass
c = C()
match (lambda o, *a, **k: loot.append(o) or o):
    case _write_:
        loot.append(c.__class__)

#: a match rest named _apply_
loot = []
class C: pass
c = C()
match {1: 2}:
    case {**_apply_}:
        loot.append(c.__class__)

#: a match rest named _getattr_
loot = []
class C: pass
c = C()
match {1: 2}:
    case {**_getattr_}:
        loot.append(c.__class__)

#: a match rest named _write_
loot = []
class C: pass
c = C()
match {1: 2}:
    case {**_write_}:
        loot.append(c.__class__)

#: a match star named _getattr_
loot = []
class C: pass
c = C()
match [(lambda o, *a, **k: loot.append(o) or o)]:
    case [*_getattr_]:
        loot.append(c.__class__)

#: a match star named _inplacevar_
loot = []
class C: pass
c = C()
match [(lambda o, *a, **k: loot.append(o) or o)]:
    case [*_inplacevar_]:
        loot.append(c.__class__)

#: a match star named _write_
loot = []
class C: pass
c = C()
match [(lambda o, *a, **k: loot.append(o) or o)]:
    case [*_write_]:
        loot.append(c.__class__)

#: a name in a class body named __builtins__
loot = []
class C: pass
c = C()
class K:
    __builtins__ = (lambda o, *a, **k: loot.append(o) or o)
    loot.append(c.__class__)

#: a name in a class body named _getattr_
loot = []
class C: pass
c = C()
class K:
    _getattr_ = (lambda o, *a, **k: loot.append(o) or o)
    loot.append(c.__class__)

#: a name in a class body named _write_
loot = []
class C: pass
c = C()
class K:
    _write_ = (lambda o, *a, **k: loot.append(o) or o)
    loot.append(c.__class__)

#: a nonlocal declaration named __import__
loot = []
class C: pass
c = C()
def f():
    __import__ = 1
    def g():
        nonlocal __import__
        __import__ = (lambda o, *a, **k: loot.append(o) or o)
    g()
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a nonlocal declaration named _getattr_
loot = []
class C: pass
c = C()
def f():
    _getattr_ = 1
    def g():
        nonlocal _getattr_
        _getattr_ = (lambda o, *a, **k: loot.append(o) or o)
    g()
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a nonlocal declaration named _write_
loot = []
class C: pass
c = C()
def f():
    _write_ = 1
    def g():
        nonlocal _write_
        _write_ = (lambda o, *a, **k: loot.append(o) or o)
    g()
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f()

#: a parameter named _getattr_
loot = []
class C: pass
c = C()
def f(_getattr_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a parameter named _write_
loot = []
class C: pass
c = C()
def f(_write_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a positional-only parameter named _getattr_
loot = []
class C: pass
c = C()
def f(_getattr_, /):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a positional-only parameter named _write_
loot = []
class C: pass
c = C()
def f(_write_, /):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a starred parameter named _getattr_
loot = []
class C: pass
c = C()
def f(*_getattr_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a starred parameter named _getiter_
loot = []
class C: pass
c = C()
def f(*_getiter_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a starred parameter named _write_
loot = []
class C: pass
c = C()
def f(*_write_):
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]
f((lambda o, *a, **k: loot.append(o) or o))

#: a walrus named _getattr_
loot = []
class C: pass
c = C()
(_getattr_ := (lambda o, *a, **k: loot.append(o) or o))
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a walrus named _iter_unpack_sequence_
loot = []
class C: pass
c = C()
(_iter_unpack_sequence_ := (lambda o, *a, **k: loot.append(o) or o))
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a walrus named _write_
loot = []
class C: pass
c = C()
(_write_ := (lambda o, *a, **k: loot.append(o) or o))
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a with target named _getattr_
loot = []
class C: pass
c = C()
class W:
    def __enter__(self): return (lambda o, *a, **k: loot.append(o) or o)
    def __exit__(self, *a): pass
with W() as _getattr_:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a with target named _getitem_
loot = []
class C: pass
c = C()
class W:
    def __enter__(self): return (lambda o, *a, **k: loot.append(o) or o)
    def __exit__(self, *a): pass
with W() as _getitem_:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: a with target named _write_
loot = []
class C: pass
c = C()
class W:
    def __enter__(self): return (lambda o, *a, **k: loot.append(o) or o)
    def __exit__(self, *a): pass
with W() as _write_:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an annotation named _getattr_
loot = []
class C: pass
c = C()
_getattr_: object = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an annotation named _getitem_
loot = []
class C: pass
c = C()
_getitem_: object = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an annotation named _write_
loot = []
class C: pass
c = C()
_write_: object = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an assignment named _getattr_
loot = []
class C: pass
c = C()
_getattr_ = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an assignment named _unpack_sequence_
loot = []
class C: pass
c = C()
_unpack_sequence_ = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an assignment named _write_
loot = []
class C: pass
c = C()
_write_ = (lambda o, *a, **k: loot.append(o) or o)
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an augmented assignment named _getattr_
loot = []
class C: pass
c = C()
_getattr_ += 1

#: an augmented assignment named _write_
loot = []
class C: pass
c = C()
_write_ += 1

#: an except clause named __builtins__
loot = []
class C: pass
c = C()
try:
    raise ValueError((lambda o, *a, **k: loot.append(o) or o))
except ValueError as __builtins__:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an except clause named _getattr_
loot = []
class C: pass
c = C()
try:
    raise ValueError((lambda o, *a, **k: loot.append(o) or o))
except ValueError as _getattr_:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an except clause named _write_
loot = []
class C: pass
c = C()
try:
    raise ValueError((lambda o, *a, **k: loot.append(o) or o))
except ValueError as _write_:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an import named _getattr_
loot = []
class C: pass
c = C()
import math as _getattr_
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: an import named _write_
loot = []
class C: pass
c = C()
import math as _write_
if True:
    loot.append(c.__class__); c.x = 1; a, b = 1, 2; [0][0]

#: keyword arguments by a mapping
loot = []
def f(**k): loot.append(f.__globals__)
f(**{'_getattr_': 1})
