# title: ask for tools by frames of one's own: others' arguments than the schema's, odd numbers, deep and huge values
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


calls = sender()
ARGUMENTS = (
    '{"number": "seven"}', '{"number": 1.5}', '{"number": null}', '{"number": true}', '{"number": [1]}', "{}", "[]", "7", "", "{",
    '{"number": 1, "more": 2}', '{"number": 1, "number": 2}', '{"number": NaN}', '{"number": Infinity}', '{"number": 1e400}',
    '{"number": ' + "9" * 5000 + "}", '{"number": "\\ud800"}', "[" * 60000, '{"number": ' + '{"a":' * 5000 + "1" + "}" * 5001,
    '{"number": {"$sandboxd": "bytes", "base64": "AAAA", "size": 1000000000}}', '{"number": {"$sandboxd": "image", "mime": "image/png", "base64": ""}}',
    '{"number": {"$sandboxd": "dataframe", "columns": ["a"], "dtypes": ["int64"], "data": [[1, 2], [3]], "index": null}}',
    '{"number": {"$sandboxd": "object", "pairs": [["a", 1], ["a", 2]]}}', '{"number": {"$sandboxd": "pickle", "base64": "gASVAAAA"}}',
    '{"__proto__": 1}', '{"number": {"$sandboxd": "bytes", "base64": "' + "A" * 100_000 + '"}}',
)
answers = set()
for arguments in ARGUMENTS:
    answer = calls.wait(calls.send("double", arguments))
    answers.add("ok" if answer["ok"] else answer["error"]["code"])
print(*sorted(answers))
if "ok" in answers:
    escaped("the tool was called with other arguments than its schema's")
# From here on the host may end the interpreter: it is not what it takes the interpreter for.
cell = calls._cell


def frame(**form):
    body = json.dumps({"op": "call", "id": cell, **form}).encode()
    attempt(os.write, 3, struct.pack(">I", len(body)) + body)


for name in ("", "wipe", "double\x00", "../double", "x" * 50_000):
    frame(call=2000, tool=name, arguments='{"number": 1}')
for number in (-1, 0, 2**63, 1.5, "1", None, True, [1]):
    frame(call=number, tool="double", arguments='{"number": 1}')
for arguments in (None, 7, {"number": 1}, ["x"]):
    frame(call=3000, tool="double", arguments=arguments)
for name in (7, None, ["double"], {"a": 1}):
    frame(call=4000, tool=name, arguments='{"number": 1}')
# --- again
print("goes on")
