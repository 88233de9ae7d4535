# title: keep a thread, so that a clone has half of a process, and a rollback is held up
# expect: B
# unsandboxed: not-run

import threading
import time

lock = threading.Lock()


def hold():
    with lock:
        time.sleep(60)


threading.Thread(target=hold, daemon=True).start()
# --- clone
escaped("a process of two threads was forked")
# --- back
if "lock" in globals():
    escaped("not rolled back")
