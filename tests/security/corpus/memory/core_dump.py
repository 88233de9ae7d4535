# title: die with a core dump that the host would write, or pipe to a handler that runs as its root
# expect: C
# unsandboxed: not-run
# outcome: crashed

import resource

# 1 is the one limit that keeps a piped core_pattern's handler away: neither more nor less of it may be had.
for limit in ((1 << 30, 1 << 30), (0, 1), (0, 0)):
    attempt(resource.setrlimit, resource.RLIMIT_CORE, limit)
    call(NR["prlimit64"], 0, resource.RLIMIT_CORE, (ctypes.c_ulong * 2)(*limit), 0)
    call(NR["prlimit64"], os.getpid(), resource.RLIMIT_CORE, (ctypes.c_ulong * 2)(*limit), 0)
print("limit", resource.getrlimit(resource.RLIMIT_CORE))
if resource.getrlimit(resource.RLIMIT_CORE) != (1, 1):
    escaped("a core may be dumped")
os.abort()
# --- again
if [name for name in os.listdir("/work") + os.listdir("/tmp") if "core" in name]:
    escaped("a core file")
