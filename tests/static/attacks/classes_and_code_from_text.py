#: type with three arguments
X = type("X", (), {"__del__": print})
print("ESC" + "APED")

#: the type of a type
X = type(int)("X", (), {"__getattr__": print})
print("ESC" + "APED")

#: the type of one's own class
class C: pass
X = type(C)("X", (C,), {"__reduce__": print})
print("ESC" + "APED")

#: a metaclass of the library, called
from abc import ABCMeta
X = ABCMeta("X", (), {"__match_args__": ("gi_frame",)})
print("ESC" + "APED")

#: a metaclass of one's own
class M(type): pass
X = M("X", (), {})
print("ESC" + "APED")

#: the metaclass of an enum
from enum import Enum
X = type(Enum).__call__
print("ESC" + "APED")

#: a field's name that is code, in the class body
from dataclasses import dataclass
@dataclass
class C:
    __annotations__ = {"x:int=print('ESC' + 'APED')": int}

#: a field's name that is code, by the class's annotations
from dataclasses import dataclass
class C:
    a: int = 1
C.__annotations__["b=print('ESC' + 'APED')"] = int
dataclass(C)

#: make_dataclass with a namespace
from dataclasses import make_dataclass
X = make_dataclass("X", ["a"], namespace={"__getattr__": print})
print("ESC" + "APED")

#: a class that claims to be of another module
from dataclasses import dataclass
@dataclass
class C:
    __module__ = "os"
    a: int = 1
loot = [C.__init__.__globals__]

#: types.new_class
import types
X = types.new_class("X", (), {}, lambda ns: ns.update(__getattr__=print))
print("ESC" + "APED")

#: a function made of another's code
F = type(lambda: 0)
g = F((lambda: print("ESC" + "APED")).__code__, {"print": print})
g()
