# title: threads that send SIGCONT to their own process run on between snippets
# expect: C
# unsandboxed: not-run
# pause: 2.2

import threading
import time

beats = set()


def wake():
    while True:
        for _ in range(50):
            os.kill(os.getpid(), signal.SIGCONT)
        beats.add(int(time.monotonic() * 100))


for _ in range(4):
    threading.Thread(target=wake, daemon=True).start()
time.sleep(0.1)
# --- again
import time

# Woken, they hold the interpreter for a while before this cell has it: what is young does not count.
now = time.monotonic()
late = [beat for beat in globals().get("beats", set()).copy() if now - 0.9 < beat / 100 < now - 0.5]
print("looked")
if late:
    escaped("ran between the snippets", len(late))
