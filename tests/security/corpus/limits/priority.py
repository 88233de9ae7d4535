# title: run before the launcher's timers: priority, scheduler, affinity, autogroup
# expect: B
# unsandboxed: no-marker

judge(
    {
        "nice": attempt(os.nice, -1),
        "priority": attempt(os.setpriority, os.PRIO_PROCESS, 0, -20),
        "fifo": attempt(os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1)),
        "affinity": attempt(os.sched_setaffinity, 0, {0}),
        "mlock": call(NR["mlockall"], 3),
    }
) if os.uname().nodename == "sandbox" else None
attempt(lambda: open("/proc/self/autogroup", "w").write("-20"))
if os.uname().nodename == "sandbox" and os.getpriority(os.PRIO_PROCESS, 0) < 10:
    escaped("nice value", os.getpriority(os.PRIO_PROCESS, 0))
