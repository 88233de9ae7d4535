# title: a memory limit that each process keeps and all together do not
# expect: K
# unsandboxed: not-run
# outcome: oom ok
# limits: memory_mib=96 pids=16
# timeout: 6
# known_without_cgroup: without a cgroup memory is limited per process (SECURITY.md, Limitations)

import time

ready = []
for _ in range(6):
    read, write = os.pipe()
    if os.fork() == 0:
        held = bytearray(60 << 20)
        os.write(write, b"x")
        time.sleep(30)
        os._exit(0)
    os.close(write)
    ready.append(read)
if all(os.read(read, 1) == b"x" for read in ready):
    escaped("six processes hold 360 MiB of 96")
