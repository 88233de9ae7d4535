# title: see, count or signal a process that is not of this box
# expect: B
# unsandboxed: no-marker

seen = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
others = [pid for pid in seen if pid != os.getpid()]
reached = [
    pid
    for pid in range(1, 400)
    if pid not in (1, os.getpid()) and attempt(os.kill, pid, 0) in ("ok", "EPERM")
]
print("pid", os.getpid() < 100)
if others or reached or os.getppid() != 1:
    escaped("seen", others[:5], "reached", reached[:5], "parent", os.getppid())
