# title: files that every host has and no box should see
# expect: B
# unsandboxed: escapes

paths = [
    "/etc/shadow",
    "/etc/machine-id",
    "/etc/fstab",
    "/bin/sh",
    "/usr/bin/env",
    "/sbin/init",
    "/var/log",
    "/home",
    "/sys/kernel",
    "/etc/hostname",
]
for path in paths:
    if path == "/etc/hostname":
        text = open(path).read() if os.path.exists(path) else "sandbox\n"
        if text != "sandbox\n":
            escaped(path, "is the host's")
    elif os.path.lexists(path):
        escaped(path)
print("looked")
