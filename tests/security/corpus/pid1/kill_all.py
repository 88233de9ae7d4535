# title: a child in a session of its own kills everything it may
# expect: C
# unsandboxed: not-run
# outcome: killed

import time

if os.fork() == 0:
    os.setsid()
    while True:
        attempt(os.kill, -1, signal.SIGKILL)
time.sleep(5)
# --- again
print("pid 1 has started another interpreter:", os.getppid() == 1)
