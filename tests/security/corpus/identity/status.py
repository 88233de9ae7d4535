# title: an id, a capability or a privilege that is left
# expect: B
# unsandboxed: escapes

status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
bad = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
bad += [
    name
    for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2"))
    if status[name].strip() != wanted
]
bad += [name for name in ("Uid", "Gid") if status[name].split() != ["1000"] * 4]
print("uid map", len(open("/proc/self/uid_map").readlines()))
if open("/proc/self/uid_map").read().split() == ["0", "0", "4294967295"]:
    bad.append("the host's user namespace")
if bad:
    escaped(bad)
