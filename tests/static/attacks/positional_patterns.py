#: a dataclass that is abstract, with a generator registered
from abc import ABC
from dataclasses import dataclass
@dataclass
class P(ABC):
    gi_frame: int = 0
def gen(): yield 1
g = gen()
P.register(type(g))
loot = [isinstance(g, P)]
match g:
    case P(v): loot.append(v)

#: a dataclass with a function's field
from abc import ABC
from dataclasses import make_dataclass, dataclass, field
@dataclass
class P(ABC):
    __globals__: int = 0
def gen(): yield 1
P.register(type(gen))
loot = []
match gen:
    case P(v): loot.append(v)

#: a namedtuple that is abstract
from abc import ABC
from collections import namedtuple
N = namedtuple("N", "gi_frame")
def gen(): yield 1
class P(N, ABC): pass
P.register(type(gen()))
loot = []
match gen():
    case P(v): loot.append(v)

#: __match_args__ set later
from abc import ABC
class P(ABC): pass
def gen(): yield 1
P.register(type(gen()))
P.__match_args__ = ("gi_frame",)
loot = []
match gen():
    case P(v): loot.append(v)

#: __match_args__ set by setattr
from abc import ABC
class P(ABC): pass
def gen(): yield 1
P.register(type(gen()))
setattr(P, "__match_args__", ("gi_frame",))
loot = []
match gen():
    case P(v): loot.append(v)

#: a protocol with a dataclass's fields
from typing import Protocol, runtime_checkable
from dataclasses import dataclass
@runtime_checkable
@dataclass
class P(Protocol):
    gi_frame: int = 0
def gen(): yield 1
loot = []
match gen():
    case P(v): loot.append(v)

#: a NamedTuple that is abstract
from abc import ABC
from typing import NamedTuple
class N(NamedTuple):
    gi_frame: int
def gen(): yield 1
class P(N, ABC): pass
P.register(type(gen()))
loot = []
match gen():
    case P(v): loot.append(v)

#: an enum's member keeps its class when that is refused
import enum
loot = []
try:
    class E(enum.Enum):
        if True: __match_args__ = ("__di" + "ct__",)
        A = 1
        def __init__(self, *a): loot.append(self)
except TypeError:
    pass
K = type(loot[0])
match loot[0]:
    case K(names): print("ESC" + "APED")

#: names added to a class's pattern
class K:
    __match_args__ = ("x",)
    __match_args__ += ("__di" + "ct__",)
    x = 1
match K():
    case K(x, names): print("ESC" + "APED")
