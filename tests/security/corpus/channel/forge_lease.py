# title: speak to the launcher on a descriptor of pid 1's that was left open
# expect: B
# unsandboxed: not-run

import json
import socket

for fd in range(4, 256):
    try:
        left = socket.socket(fileno=os.dup(fd))
        left.send(json.dumps({"op": "guest_exit", "generation": 1, "status": 0}).encode())
    except OSError:
        continue
    escaped("the launcher was told a lie on", fd)
print("nobody to lie to")
