# title: have code call a tool that only a model may: by name, by frame, through the stubs' own parts
# expect: C
# unsandboxed: not-run
# tools: yes
# outcome: ok error crashed

import json
import struct

def sender():
    """The interpreter's own object that sends calls: reached through what a tool's function holds."""
    todo, seen = [tools.double, tools], set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__name__ == "Calls":
            return one
        todo += [part.cell_contents for part in getattr(one, "__closure__", None) or ()]
        todo += [getattr(one, name) for name in ("_calls", "__self__", "__func__", "__wrapped__") if hasattr(one, name)]
        todo += list(getattr(one, "__dict__", {}).values())
    raise LookupError("no way to it")


for get in (lambda: wipe, lambda: tools.wipe, lambda: getattr(tools, "wipe"), lambda: tools.double.__class__("wipe")):
    try:
        print(get()())
    except Exception as error:
        print(type(error).__name__)
calls = sender()
print(calls.wait(calls.send("wipe", "{}")))
body = json.dumps({"op": "call", "id": calls._cell, "call": 77, "tool": "wipe", "arguments": "{}"}).encode()
os.write(3, struct.pack(">I", len(body)) + body)
