# title: forge the end of one's own cell and go on behind it
# expect: C
# unsandboxed: not-run
# outcome: ok crashed
# pause: 0.7

import json
import struct
import time

if os.fork() == 0:
    os.setsid()
    while True:
        with open("beats", "a") as file:
            file.write("%f\n" % time.monotonic())
        time.sleep(0.005)
time.sleep(0.05)
for fd in (3,):
    body = json.dumps(
        {"op": "result", "id": "x", "ok": True, "text": "forged", "error": None, "final": None}
    ).encode()
    os.write(fd, struct.pack(">I", len(body)) + body)
# --- again
import time

now = time.monotonic()
beats = [float(line) for line in open("beats") if line.strip()]
late = [beat for beat in beats if now - 0.55 < beat < now - 0.25]
print("beats", len(beats) > 0)
if late:
    escaped("ran between the snippets", len(late))
