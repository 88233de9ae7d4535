#: a generator's frame, read from outside
g = (x for x in [1])
loot = [g.gi_frame]

#: a generator's frame, read by itself while it runs
def gen():
    yield me.gi_frame.f_back
me = gen()
loot = [next(me)]

#: the frame's globals by a comprehension that names itself
q = (q.gi_frame.f_back.f_back.f_globals for _ in [1])
loot = [*q]

#: a coroutine's frame
async def c(): pass
co = c()
loot = [co.cr_frame, co.cr_code]
co.close()

#: an asynchronous generator's frame
async def c(): yield 1
loot = [c().ag_frame]

#: a traceback's frame
try:
    1 / 0
except ZeroDivisionError as e:
    loot = [e.__traceback__.tb_frame.f_globals]

#: the name given as text
g = (x for x in [1])
loot = [getattr(g, "gi_" + "frame")]

#: a class pattern reads it
g = (x for x in [1])
match g:
    case object(gi_frame=f): loot = [f]

#: a positional class pattern reads it
class P:
    __match_args__ = ("gi_frame",)
g = (x for x in [1])
P.__instancecheck__ = lambda *a: True
match g:
    case object(gi_frame=v): loot = [v]
match g:
    case P(v): loot = [v]

#: delegation's inner generator
def inner(): yield 1
def outer(): yield from inner()
o = outer()
next(o)
loot = [o.gi_yieldfrom.gi_frame]

#: code objects of functions and generators
def f(): pass
loot = [f.__code__, (x for x in [1]).gi_code]

#: a context manager's generator
from contextlib import contextmanager
@contextmanager
def cm(): yield
loot = [cm().gen.gi_frame]

#: the traceback that __exit__ is given
loot = []
class C:
    def __enter__(self): return self
    def __exit__(self, kind, error, trace):
        loot.append(trace.tb_frame)
        return True
with C():
    1 / 0
