# title: links, pipes, sparse files and odd names in /work for whoever collects files
# expect: H
# unsandboxed: not-run

os.symlink("/etc/passwd", "passwd")
os.symlink("/proc/1/root", "root")
os.symlink("/", "slash")
attempt(os.link, os.__file__, "library")
attempt(os.mkfifo, "pipe")
attempt(os.mknod, "device", 0o600 | 0o060000, 0x0800)
os.makedirs("deep/" + "/".join("d" * 50 for _ in range(20)), exist_ok=True)
for name in (b"\xff\xfe", b"\x1b[2J", b"a\nb", b"-rf", b"%s%n", "\u202e".encode()):
    open(name, "w").close()
sparse = os.open("sparse", os.O_CREAT | os.O_RDWR)
print("sparse", attempt(os.ftruncate, sparse, 1 << 40))
os.utime("sparse", ns=((1 << 62), -(1 << 62)))
# What the daemon is going to name its own temporary.
for number in range(64):
    attempt(os.symlink, "/etc/passwd", ".sandboxd-upload-%d" % number)
