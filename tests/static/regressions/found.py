#: a class that inherits a dataclass with a private field was refused at run time
from dataclasses import dataclass, field
@dataclass(order=True)
class C1:
    n: int
    _p: int = 5
class C2(C1):
    pass
print(C2(3), C2(3)._p, C2(1) < C2(2))

#: await at the top level was called a syntax error by the screen
import asyncio
async def f(x):
    await asyncio.sleep(0)
    return x
print(await f(2), [await f(n) for n in range(2)])
async with asyncio.timeout(5):
    print(await f(3))

#: a variable with the name of a builtin that only people at a terminal need was refused
def solve(input, help=None):
    exit = input + 1
    return exit, help
print(solve(1), [input for input in "ab"])

#: a template and a name that are computed were refused where layer 2 guards them
class P:
    x = 1
row = " | ".join(["{:>4}"] * 2)
print(row.format("a", 2), getattr(P(), "".join(["x"])), "{0.x}".format(P()))

#: `evaluate`, which only the forward references of 3.14 need refused, was refused on every object
class Model:
    def evaluate(self, x):
        return x * 2
print(Model().evaluate(3))
