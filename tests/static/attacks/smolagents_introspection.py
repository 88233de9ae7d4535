#: the interpreter's own lists by a generator's frame
loot = [(x for x in [1]).gi_frame.f_back]

#: frames through f_back only
def g():
    yield h.gi_frame.f_back.f_builtins
h = g()
loot = [next(h)]

#: a time bomb that runs when it is collected
class C:
    def __del__(self): loot.append((lambda: 0).__globals__)
loot = []
C()

#: a time bomb that runs when it is compared
loot = []
class C:
    def __eq__(self, o):
        loot.append((lambda: 0).__globals__)
        return True
C() == 1

#: counters of the interpreter in the namespace
_operations_count = {"counter": -10**9}
_print_outputs = None
loot = [_operations_count.__class__.__base__.__subclasses__()]
print("ESC" + "APED")

#: requests to the network
import requests
loot = [requests.get]

#: urllib's opener
import urllib.request
loot = [urllib.request.urlopen]

#: pickle of what comes out
import pickle
class P:
    def __reduce__(self): return (print, ("ESC" + "APED",))
pickle.loads(pickle.dumps(P()))

#: sys's frames
import sys
loot = [sys._getframe(), sys.modules]

#: ctypes
import ctypes
loot = [ctypes.pythonapi]
