# title: use up all processes, then have it forked
# expect: C
# unsandboxed: not-run
# limits: pids=16
# outcome: ok error

while True:
    try:
        if os.fork() == 0:
            os.setsid()
            signal.pause()
    except OSError as error:
        print(errno.errorcode[error.errno])
        break
# --- clone
made = 0
while made < 16:  # each clone has room for itself and one helper of pid 1's, and for nothing of its own
    try:
        if os.fork() == 0:
            os.setsid()
            signal.pause()
    except OSError as error:
        print(errno.errorcode[error.errno])
        break
    made += 1
if made > 2:
    escaped("more processes than granted", made)
# --- again
print("goes on")
