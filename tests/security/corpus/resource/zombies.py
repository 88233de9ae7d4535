# title: zombies and orphans for pid 1 to reap, as fast as they can be made
# expect: K
# unsandboxed: not-run
# outcome: timeout_wall timeout_cpu
# limits: pids=32
# timeout: 1

while True:
    try:
        if os.fork() == 0:
            attempt(os.fork)
            os._exit(0)
    except OSError:
        attempt(os.waitpid, -1, os.WNOHANG)
