# title: signals of input and output, alarms and a dying child, which come while the box is at rest
# expect: C
# unsandboxed: not-run
# pause: 0.7

import fcntl
import time

# O_ASYNC sends SIGIO when something can be read; a child that ends sends SIGCHLD; neither may wake what was stopped.
read, write = os.pipe()
if os.fork() == 0:
    for number in (signal.SIGIO, signal.SIGCHLD, signal.SIGALRM, signal.SIGURG, signal.SIGCONT):
        signal.signal(number, lambda *_: None)
    fcntl.fcntl(read, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(read, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    while True:
        with open("beats", "a") as file:
            file.write("%f\n" % time.monotonic())
        if os.fork() == 0:
            os.write(write, b"x")
            os._exit(0)
        attempt(os.waitpid, -1, os.WNOHANG)
        attempt(os.read, read, 100)
        time.sleep(0.001)
time.sleep(0.15)
# --- again
import time

now = time.monotonic()
beats = [float(line) for line in open("beats") if line.endswith("\n")]
late = [beat for beat in beats if now - 0.45 < beat < now - 0.25]
print("beats", len(beats) > 0)
if late:
    escaped("ran between the snippets", len(late))
