# title: fill /dev/shm and map it shared from many processes
# expect: K
# unsandboxed: not-run
# outcome: ok oom error
# limits: memory_mib=128 disk_mib=32
# timeout: 5

import mmap

fd = os.open("/dev/shm/x", os.O_CREAT | os.O_RDWR)
print("size", attempt(os.ftruncate, fd, 1 << 30))
attempt(os.ftruncate, fd, 32 << 20)
shared = mmap.mmap(fd, 32 << 20)
try:
    for page in range(0, 32 << 20, 4096):
        shared[page] = 1
    print("filled")
finally:
    print("stopped by the size of the file system")
