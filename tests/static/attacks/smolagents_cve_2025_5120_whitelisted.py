#: a module through a whitelisted one
import random
loot = [random._os.system]

#: getattr on a whitelisted module
import statistics
loot = [getattr(statistics, "s" + "ys")]

#: queue's threading
import queue
loot = [queue.threading._os]

#: a function's module
import re
loot = [re.sub.__globals__["enum"]]

#: a class of a whitelisted module
import datetime
loot = [datetime.datetime.__class__.__subclasses__(datetime.datetime.__class__)]
print("ESC" + "APED" if loot else "")

#: a loader
import math
loot = [math.__loader__, math.__spec__]

#: the names of a module by dir and vars
import json
loot = [vars(json), [getattr(json, n) for n in dir(json)]]
