# title: forge what the interpreter says about itself and its clones: ready, forked, born, kept, display, stdout of others
# expect: C
# unsandboxed: not-run
# outcome: ok error crashed

import json
import struct

for form in (
    {"op": "ready"},
    {"op": "forked", "number": 1, "pid": 1, "members": [1, 2, 3]},
    {"op": "born", "member": 1},
    {"op": "unborn", "code": "refused", "detail": "x" * 5000},
    {"op": "guest_exit", "member": 0, "status": 0},
    {"op": "display", "id": "x", "data": {"text/html": "<script>"}, "is_result": True},
    {"op": "answer", "call": 1, "ok": True, "value": "1"},
    {"op": "fork", "number": 1},
):
    body = json.dumps(form).encode()
    attempt(os.write, 3, struct.pack(">I", len(body)) + body)
    attempt(os.write, 4, body)
# --- clone
print("a clone all the same")
# --- again
print("goes on")
