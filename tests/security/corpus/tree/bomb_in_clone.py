# title: a fork bomb in a clone
# expect: C
# unsandboxed: not-run
# limits: pids=32
# timeout: 2

kept = 1
# --- clone
while True:
    try:
        os.fork()
    except OSError:
        pass
# --- again
if kept != 1:
    escaped("the original lost its variables")
