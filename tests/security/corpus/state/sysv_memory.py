# title: a System V segment that another box finds by its key
# expect: B
# unsandboxed: not-run

made = call(NR["shmget"], 0x5AFEB0, 4096, 0o1666)
print("stopped:", made)
# --- beside
if call(NR["shmget"], 0x5AFEB0, 4096, 0o666) == "ok":
    escaped("the segment of another box")
# --- again
number = _libc.syscall(ctypes.c_long(NR["shmget"]), 0x5AFEB0, 4096, 0o666)
if number >= 0:
    call(NR["shmctl"], number, 0, 0)  # remove it: without a namespace of its own it would stay on the host
