#: methodcaller of format
import operator
print("ESC" + "APED" if "class" in operator.methodcaller("format", 1)("{0.__class__}") else "")

#: methodcaller of a private method
import operator
loot = [operator.methodcaller("__getattribute__", "__globals__")(lambda: 0)]

#: attrgetter of a dotted path
import operator
loot = [operator.attrgetter("__globals__")(lambda: 0)]

#: attrgetter of a generator's frame
import operator
loot = [operator.attrgetter("gi_frame")(x for x in [1])]

#: from the module under another name
from operator import attrgetter as get
loot = [get("__code__")(lambda: 0)]

#: itemgetter on a namespace
import operator
loot = [operator.itemgetter("__builtins__")((lambda: 0).__globals__)]

#: operator.call and setitem
import operator
operator.setitem(vars(operator), "add", print)
loot = [operator.call(getattr, operator, "__loader__")]

#: reduce over getattr
import functools
loot = [functools.reduce(getattr, ["__class__", "__base__", "__subclasses__"], 1)()]
print("ESC" + "APED" if loot[0] else "")

#: partial of getattr
import functools
loot = [functools.partial(getattr, (lambda: 0))("__globals__")]

#: map of getattr
loot = [*map(getattr, [lambda: 0], ["__globals__"])]

#: sorted by a key of getattr
loot = []
sorted([lambda: 0], key=lambda f: loot.append(getattr(f, "__globals__")) or 0)

#: iter with a sentinel
loot = [next(iter((lambda: (lambda: 0).__globals__), None))]
