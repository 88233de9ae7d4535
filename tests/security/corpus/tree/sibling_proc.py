# title: a clone writes into its siblings' descriptors and memory through /proc, and looks for them there
# expect: B
# unsandboxed: not-run

print("pid", os.getpid())
# --- clone
original = int(PREVIOUS.split("pid ")[1].split()[0])
for name in ("fd/1", "fd/3", "fd/4", "mem", "cwd/x", "root", "environ", "maps", "task/%d/children" % original, "status", "oom_score_adj"):
    for flags in (os.O_RDONLY, os.O_WRONLY):
        try:
            fd = os.open("/proc/%d/%s" % (original, name), flags)
        except OSError as error:
            print(errno.errorcode[error.errno])
        else:
            escaped("opened", name, flags)
            os.close(fd)
seen = [entry for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]
if seen:
    escaped("sees", seen)
# --- again
print("the original goes on")
