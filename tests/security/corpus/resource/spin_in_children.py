# title: many processes that use the processor up
# expect: K
# unsandboxed: not-run
# outcome: timeout_wall timeout_cpu
# limits: pids=16 cpu_seconds=5
# timeout: 1

while True:
    try:
        if os.fork() == 0:
            while True:
                pass
    except OSError:
        pass
