#: except star
loot = []
try:
    raise ExceptionGroup("g", [ValueError(1)])
except* ValueError as e:
    print("ESC" + "APED")

#: except star over a class with a hostile split
class G(ExceptionGroup):
    def split(self, *a): return (1, 2)
    def derive(self, *a): return 1
loot = []
try:
    raise G("g", [ValueError(1)])
except* ValueError as e:
    print("ESC" + "APED")

#: except star that keeps its handler's names
def f():
    try:
        raise ExceptionGroup("g", [ValueError(1), KeyError(2)])
    except* (ValueError, KeyError) as e:
        return_ = e
        print("ESC" + "APED")
loot = []
f()

#: except star around a nested one
loot = []
try:
    try:
        raise ExceptionGroup("g", [ValueError(1)])
    except* TypeError:
        pass
except* ValueError as e:
    print("ESC" + "APED")

#: except star in a coroutine
import asyncio
loot = []
async def f():
    try:
        raise ExceptionGroup("g", [ValueError(1)])
    except* ValueError as e:
        print("ESC" + "APED")
asyncio.run(f())

#: a group whose members are no exceptions
class E(Exception): pass
E.exceptions = ((lambda: 1),)
loot = []
try:
    raise E("x")
except* E as e:
    print("ESC" + "APED")
