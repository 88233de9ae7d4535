# title: a clone signals everything that it may: its original, checkpoints, pid 1
# expect: K
# unsandboxed: not-run
# outcome: ok

kept = 1
# --- clone
os.setsid() if os.getpid() != os.getsid(0) else None
for number in (signal.SIGSTOP, signal.SIGTERM, signal.SIGKILL):
    for pid in range(1, 400):
        if pid != os.getpid():
            attempt(os.kill, pid, number)
# --- back
if globals().get("kept") == 1:
    escaped("what came after the checkpoint is still there")
