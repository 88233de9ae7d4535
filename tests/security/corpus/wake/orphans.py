# title: a stopped process group that a dying parent orphans is woken by the kernel
# expect: C
# unsandboxed: not-run
# pause: 1.8

import mmap
import time

signal.signal(signal.SIGHUP, signal.SIG_IGN)
read, hold = os.pipe()
ready, filled = os.pipe()
if os.fork() == 0:
    os.close(hold)
    os.setsid()
    if os.fork() == 0:
        os.setpgid(0, 0)
        while True:
            with open("beats", "a") as file:
                file.write("%f\n" % time.monotonic())
            time.sleep(0.002)
    held = mmap.mmap(-1, 350 << 20)
    held.madvise(mmap.MADV_NOHUGEPAGE)
    for page in range(0, len(held), 4096):
        held[page] = 1
    os.write(filled, b"x")
    os.read(read, 1)
    os._exit(0)
os.read(ready, 1)
os.write(hold, b"x")
# --- again
import time

now = time.monotonic()
beats = [float(line) for line in open("beats") if line.endswith("\n")]
late = [beat for beat in beats if now - 0.6 < beat < now - 0.3]
print("beats", len(beats) > 0)
if late:
    escaped("ran between the snippets", len(late))
