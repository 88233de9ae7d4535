# title: fork by oneself and speak on the control socket as if one were the clone, or the original
# expect: C
# unsandboxed: not-run
# outcome: ok error crashed

import json
import struct
import time

if os.fork() == 0:
    os.setsid()
    for _ in range(200):
        body = json.dumps({"op": "result", "id": "x", "ok": True, "text": "forged", "error": None, "final": None}).encode()
        attempt(os.write, 3, struct.pack(">I", len(body)) + body)
        time.sleep(0.002)
    os._exit(0)
# --- clone
print("a clone all the same")
# --- again
print("goes on")
