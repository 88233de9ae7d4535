# title: trace, read, write, copy descriptors of, advise and compare pid 1 and one's parent
# expect: B
# unsandboxed: not-run

buffer = ctypes.create_string_buffer(64)
words = (ctypes.c_ulong * 2)(ctypes.addressof(buffer), 64)
here = ctypes.addressof(words)
fd = os.pidfd_open(1)
judge(
    {
        "attach": call(NR["ptrace"], 16, 1, 0, 0),
        "seize": call(NR["ptrace"], 0x4206, 1, 0, 0),
        "traceme": call(NR["ptrace"], 0, 0, 0, 0),
        "traceme, high bits": call(NR["ptrace"], 1 << 32, 0, 0, 0),
        "readv": call(NR["process_vm_readv"], 1, here, 1, here, 1, 0),
        "writev": call(NR["process_vm_writev"], 1, here, 1, here, 1, 0),
        "getfd": call(NR["pidfd_getfd"], fd, 0, 0),
        "madvise": call(NR["process_madvise"], fd, here, 1, 4, 0),
        "mrelease": call(NR["process_mrelease"], fd, 0),
        "kcmp": call(NR["kcmp"], 1, os.getpid(), 0, 0, 0),
        "move_pages": call(NR["move_pages"], 1, 0, 0, 0, 0, 0),
    }
)
