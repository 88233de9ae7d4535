# title: raise every limit of one's own, from the process and from a child
# expect: B
# unsandboxed: not-run

import resource

raised = []
for name in dir(resource):
    if name.startswith("RLIMIT_"):
        which = getattr(resource, name)
        soft, hard = resource.getrlimit(which)
        for value in (resource.RLIM_INFINITY, hard + 1):
            if (
                attempt(resource.setrlimit, which, (soft, value)) == "ok"
                and resource.getrlimit(which)[1] != hard
            ):
                raised.append(name)
wanted = {
    "NOFILE": 1024,
    "CORE": 1,
    "MEMLOCK": 0,
    "MSGQUEUE": 0,
    "NICE": 0,
    "RTPRIO": 0,
    "SIGPENDING": 64,
    "STACK": 8 << 20,
}
wide = [
    name
    for name, most in wanted.items()
    if not 0 <= resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] <= most
]
wide += [
    name
    for name in ("AS", "NPROC", "FSIZE")
    if resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] == -1
]
print("stopped: EPERM" if not raised else raised)
if raised or wide:
    escaped(raised, wide)
