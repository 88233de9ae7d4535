#: an enum copies a module's members
from enum import IntEnum
class K(IntEnum): A = 1
loot = [K._convert_("X", "os", lambda n: n == "O_RDONLY")]
print("ESC" + "APED")

#: the same inside a method
from enum import Enum
class K(Enum):
    A = 1
    @classmethod
    def m(cls): return cls._convert_
loot = [K.m()]
print("ESC" + "APED")

#: the same with the name as text
from enum import Enum
class K(Enum): A = 1
loot = [getattr(K, "_con" + "vert_")]
print("ESC" + "APED")

#: an event loop by a task
import asyncio
async def f(): loot.append(asyncio.current_task().get_loop())
loot = []
asyncio.run(f())
print("ESC" + "APED" if loot else "")

#: an event loop by a queue's mixin
import asyncio
class Q(asyncio.Queue): pass
async def f(): loot.append(Q()._get_loop())
loot = []
asyncio.run(f())
print("ESC" + "APED" if loot else "")

#: an event loop by a future in a callback
import asyncio
async def f():
    async def g(): pass
    t = asyncio.create_task(g())
    t.add_done_callback(lambda u: loot.append(u._loop))
    await t
    await asyncio.sleep(0)
loot = []
asyncio.run(f())
print("ESC" + "APED" if loot else "")

#: a stack by a task
import asyncio
async def f(): loot.extend(asyncio.current_task().get_stack())
loot = []
asyncio.run(f())

#: a generic alias's inner class
from typing import Generic, TypeVar
T = TypeVar("T")
class P(Generic[T]): pass
loot = [P[int].__origin__.__init_subclass__.__self__, P[int]._getitem if hasattr(P[int], "_getitem") else P[int].copy_with.__globals__]

#: a random generator's methods' globals
from random import Random
class R(Random): pass
loot = [R()._randbelow.__func__.__globals__]

#: a printer's dispatch table
import pprint
class P(pprint.PrettyPrinter): pass
loot = [list(P()._dispatch.values())[0].__globals__]
