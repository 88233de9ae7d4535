# title: answer one's own call: by a frame on the control socket, and from a child that listens there first
# expect: C
# unsandboxed: not-run
# tools: yes
# outcome: ok error crashed timeout_wall
# timeout: 3

import json
import socket
import struct
import time

control = socket.socket(fileno=os.dup(3))
if os.fork() == 0:
    os.setsid()
    for number in range(1, 50):
        for form in ({"op": "answer", "call": number, "ok": True, "value": "666"}, {"op": "done", "call": number}):
            body = json.dumps(form).encode()
            attempt(control.send, struct.pack(">I", len(body)) + body)
    os._exit(0)
time.sleep(0.05)
print(tools.double(4))
# --- again
print("goes on")
