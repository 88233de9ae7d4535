#: an own object in the place of a redirection
import contextlib
class F: pass
class L:
    def append(self, x): loot.append(x)
f, loot = F(), []
f._old_targets, f._stream, f._new_target = L(), "version_info", (3,)
contextlib.redirect_stdout.__enter__(f)
print("ESC" + "APED" if loot else "")

#: its end sets what it likes
import contextlib, sys
class F: pass
f = F()
f._old_targets, f._stream = ["ESC" + "APED"], "platform"
contextlib.redirect_stdout.__exit__(f, None, None, None)
print(sys.platform)

#: an own object in the place of a task group
import asyncio
class F: pass
async def main():
    f._entered, f._loop = False, None
    await asyncio.TaskGroup.__aenter__(f)
    return f._loop
f = F()
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: the same by a copied method
import asyncio, copy
class F: pass
class M(dict):
    def get(self, key, default=None): return f if key == id(group) else default
async def main():
    global group
    group = asyncio.TaskGroup()
    f._entered, f._loop = False, None
    await copy.deepcopy(group.__aenter__, M())()
    return f._loop
f, group = F(), None
loot = [asyncio.run(main())]
print("ESC" + "APED")

#: an own object in the place of an exit stack
import contextlib
class F:
    @staticmethod
    def _create_cb_wrapper(*_): pass
    _exit_callbacks = loot = []
    def _push_exit_callback(self, *a): loot.append(a)
loot = []
contextlib.ExitStack.callback(F(), print)
print("ESC" + "APED" if loot else "")
