#: a module behind a module
import random, json, re
loot = [random._os, json.codecs, re.enum]

#: a module by a from import
from contextlib import os
loot = [os]

#: bltns of enum
from enum import bltns
loot = [bltns]

#: sys of dataclasses, statistics, typing
import dataclasses, statistics, typing
loot = [dataclasses.sys, statistics.sys, typing.sys]

#: open of json's codecs
import json
loot = [json.codecs.open]

#: a function's globals copied by update_wrapper onto an object that shows them
import functools, dataclasses, textwrap
D = dataclasses.make_dataclass("D", [("__globals__", dict)])
d = D({})
functools.update_wrapper(d, textwrap.dedent, assigned=["__globals__"], updated=[])
loot = [d.__globals__]

#: wraps that assigns what is private
import functools, textwrap
class D: pass
d = D()
functools.update_wrapper(d, textwrap.dedent, assigned=("__globals__", "__code__"), updated=())
loot = [getattr(d, "__globals__", None), getattr(d, "__code__", None)]

#: a string annotation evaluated by typing
import typing
def f(a: "__import__('os')"): pass
loot = [typing.get_type_hints(f)]

#: a string annotation evaluated by singledispatch
import functools
@functools.singledispatch
def f(a): pass
def g(a: "__import__('os').getpid() and int"): pass
f.register(g)
loot = [f.dispatch.__globals__]

#: a forward reference
import typing
loot = [typing.ForwardRef("__import__('os')")._evaluate(globals(), {}, frozenset())]

#: a poisoned function of a module
import json
json.dumps = lambda *a, **k: "evil"
loot = [json.__dict__]

#: a poisoned method of a library's class
import collections
collections.Counter.update = lambda *a: None
loot = [collections.__dict__]

#: a poisoned attribute by every kind of target
import math, json
for json.loads in [1]: pass
(math.pi, json.dumps) = 1, 2
del json.JSONEncoder
loot = [json.__dict__]

#: poison by setattr and vars
import math
setattr(math, "pi", 3)
vars(math)["e"] = 2
loot = [vars(math)]

#: poison through a class that extends a library's
import fractions
class F(fractions.Fraction): pass
F.__base__.limit = 1
loot = [F.__base__.__dict__["limit"].__class__.__base__]
fractions.Fraction.real = 7

#: os by importlib, and by the import function
import importlib
loot = [importlib.import_module("os"), __import__("os")]

#: files by open, io and pathlib
loot = [open("/etc/hostname")]

#: files by io
import io
loot = [io.open("/etc/hostname"), io.FileIO("/etc/hostname")]

#: what implicit imports of C code leave
import datetime
datetime.datetime.strptime("1", "%d")
loot = [datetime.sys]

#: a name of the builtins by three ways
loot = [__builtins__, print.__self__, [].append.__self__.__class__.__base__.__subclasses__()]

#: C code that iterates and calls back
loot = []
class I:
    def __getitem__(self, k):
        loot.append((lambda: 0).__globals__)
        raise IndexError
tuple(I()); sorted(I()); list(zip(I())); bytes(I())
