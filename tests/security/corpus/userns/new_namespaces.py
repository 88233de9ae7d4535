# title: every namespace by unshare, clone, clone3 and setns, also with odd high bits and from an exec'd child
# expect: B
# unsandboxed: escapes

high = 1 << 32
flags = {
    "user": 0x10000000,
    "mount": 0x20000,
    "pid": 0x20000000,
    "net": 0x40000000,
    "ipc": 0x8000000,
    "uts": 0x4000000,
    "cgroup": 0x2000000,
    "time": 0x80,
}
results = {}
for name, flag in flags.items():
    pid = os.fork()
    if pid == 0:  # a child tries: where it works the process is not the same any more
        inner = [call(NR["unshare"], flag), call(NR["unshare"], flag | high)]
        if name == "user":
            arguments = (ctypes.c_uint64 * 11)(flag)
            inner.append(call(NR["clone3"], ctypes.addressof(arguments), 88))
        os._exit(all(result in ("EPERM", "ENOSYS") for result in inner))
    refused = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    results[name] = "EPERM" if refused else "ok"
    try:
        inside = os.open("/proc/self/ns/" + name, os.O_RDONLY)
    except OSError:
        continue
    results["setns " + name] = call(NR["setns"], inside, 0)
judge(results)
