# title: starve pid 1: its limits, priority, affinity, scheduler and process group
# expect: B
# unsandboxed: not-run


zero = (ctypes.c_ulong * 2)(0, 0)
results = {"limit %d" % which: call(NR["prlimit64"], 1, which, zero, 0) for which in range(16)}
results |= {
    "limit, high bits": call(NR["prlimit64"], 1 | 1 << 32, 7, zero, 0),
    "priority": attempt(os.setpriority, os.PRIO_PROCESS, 1, 19),
    "group priority": attempt(os.setpriority, os.PRIO_USER, 0, 19),
    "affinity": attempt(os.sched_setaffinity, 1, {0}),
    "scheduler": attempt(os.sched_setscheduler, 1, os.SCHED_IDLE, os.sched_param(0)),
    "io priority": call(NR["ioprio_set"], 1, 1, 3 << 13),
}
judge(results)
if attempt(os.setpgid, 1, 0) == "ok":
    escaped("process group")
