# title: timers and descriptors that send SIGCONT, or any signal, while the box is stopped
# expect: C
# unsandboxed: not-run
# pause: 0.7

import fcntl
import time

pid = os.fork()
if pid == 0:
    signal.signal(signal.SIGCONT, lambda *_: None)  # an ignored one would not come again
    for number in range(40):  # many: a SIGSTOP that meets a pending SIGCONT of a timer ends that timer
        event = (ctypes.c_int * 16)(0, 0, signal.SIGCONT, 0)
        timer = ctypes.c_int()
        period = 3_000_000 + number * 170_000
        spec = (ctypes.c_long * 4)(0, period, 0, period)
        if call(NR["timer_create"], 1, ctypes.addressof(event), ctypes.addressof(timer)) == "ok":
            call(NR["timer_settime"], timer.value, 0, ctypes.addressof(spec), 0)
    read, write = os.pipe()
    attempt(fcntl.fcntl, read, 10, signal.SIGCONT)  # F_SETSIG
    attempt(fcntl.fcntl, read, fcntl.F_SETOWN, os.getpid())
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
    while True:
        with open("beats", "a") as file:
            file.write("%f\n" % time.monotonic())
        time.sleep(0.002)
time.sleep(0.1)
# --- again
import time

now = time.monotonic()
beats = [float(line) for line in open("beats") if line.endswith("\n")]
late = [beat for beat in beats if now - 0.55 < beat < now - 0.25]
print("beats", len(beats) > 0)
if late:
    escaped("ran between the snippets", len(late))
