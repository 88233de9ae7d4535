# title: what names the host: its node name, its cgroups, its environment, its session
# expect: B
# unsandboxed: no-marker

boxed = os.uname().nodename
found = []
if boxed != "sandbox" and os.path.isdir("/work"):
    found.append("node name")
found += [line.strip() for line in open("/proc/self/cgroup") if not line.strip().endswith((":/", "0::/guest"))]
found += [name for name in os.environ if name.startswith(("SANDBOXD", "PYTEST", "SSH", "SUDO"))]
if os.getsid(0) != 1:
    found.append("session %d" % os.getsid(0))
if os.path.isdir("/work") and os.path.isdir("/dev/shm"):
    print("looked", boxed)
    if found:
        escaped(found)
