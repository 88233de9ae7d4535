#: a str subclass that lies about its start
class S(str):
    def startswith(self, *a): return False
loot = [getattr(lambda: 0, S("__globals__"))]

#: a str subclass that is equal to nothing
class S(str):
    def __eq__(self, o): return False
    def __hash__(self): return 1
loot = [getattr((x for x in [1]), S("gi_frame"))]

#: a str subclass with its own items
class S(str):
    def __getitem__(self, k): return "x"
    def endswith(self, *a): return False
    def __contains__(self, o): return False
loot = [getattr(lambda: 0, S("__code__"))]

#: an equal object that is no str
class E:
    def __eq__(self, o): return True
    def __hash__(self): return hash("__globals__")
loot = [getattr(lambda: 0, E())]

#: a default that hides the refusal
loot = [getattr(lambda: 0, "__globals__", None)]

#: hasattr as an oracle, then a direct read
f = lambda: 0
if hasattr(f, "__globals__"):
    loot = [f.__globals__]

#: setattr and delattr with a str subclass
import math
class S(str): pass
setattr(math, S("pi"), 3)
loot = [math.__dict__]

#: getattr as a method of a class
class C:
    read = getattr
loot = [C().read("__globals__") if hasattr(C(), "read") else 0, C.read(lambda: 0, "__globals__")]

#: getattr under another name
g = getattr
loot = [g(lambda: 0, "".join(["__glo", "bals__"]))]

#: object's and type's own
loot = [object.__getattribute__(lambda: 0, "__globals__"), type.__getattribute__(int, "__subclasses__")]

#: super's
class C:
    def m(self): return super().__getattribute__("__class__").__dict__
loot = [C().m()]
