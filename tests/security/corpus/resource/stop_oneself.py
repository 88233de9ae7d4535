# title: stop one's own process in the middle of a cell, all signals blocked
# expect: K
# unsandboxed: not-run
# outcome: timeout_wall
# timeout: 0.5

signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
while True:
    os.kill(os.getpid(), signal.SIGSTOP)
