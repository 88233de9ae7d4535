# title: speak to the launcher on a descriptor of pid 1's that was left open
# expect: B
# unsandboxed: not-run

import json
import socket

for fd in range(5, 256):  # 4 is the nursery: pid 1 reads no word of it that it has not asked for
    try:
        left = socket.socket(fileno=os.dup(fd))
        left.send(json.dumps({"op": "guest_exit", "generation": 1, "status": 0}).encode())
    except OSError:
        continue
    escaped("the launcher was told a lie on", fd)
print("nobody to lie to")
