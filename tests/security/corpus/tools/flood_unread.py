# title: ask for tools as fast as frames can be written, and read no answer
# expect: C
# unsandboxed: not-run
# tools: yes
# outcome: ok error crashed timeout_wall
# timeout: 1

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
calls = sender()
batch, first = 200, 1000
while True:
    bodies = [
        json.dumps({"op": "call", "id": calls._cell, "call": number, "tool": "double", "arguments": '{"number": 1}'}).encode()
        for number in range(first, first + batch)
    ]
    first += batch
    data = b"".join(struct.pack(">I", len(body)) + body for body in bodies)
    while data:
        data = data[os.write(3, data) :]
