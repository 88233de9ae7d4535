# title: a clone traces, reads, writes and borrows from its original, by system call and through /proc
# expect: B
# unsandboxed: not-run

print("pid", os.getpid())
# --- clone
original = int(PREVIOUS.split("pid ")[1].split()[0])
buffer = ctypes.create_string_buffer(64)
results = {
    "attach": call(NR["ptrace"], 16, original, 0, 0),
    "seize": call(NR["ptrace"], 0x4206, original, 0, 0),
    "read": call(NR["process_vm_readv"], original, buffer, 1, buffer, 1, 0),
    "write": call(NR["process_vm_writev"], original, buffer, 1, buffer, 1, 0),
    "madvise": call(NR["process_madvise"], original, buffer, 1, 4, 0),
    "kcmp": call(NR["kcmp"], os.getpid(), original, 2, 0, 0),
    "limits": attempt(lambda: __import__("resource").prlimit(original, 7, (1, 1))),
}
judge(results)
try:
    handle = os.pidfd_open(original)
except OSError as error:
    print("no handle:", errno.errorcode[error.errno])
else:
    judge({"getfd": call(NR["pidfd_getfd"], handle, 3, 0)})
# --- again
print("the original goes on")
