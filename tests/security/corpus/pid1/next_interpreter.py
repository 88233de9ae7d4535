# title: die, so that pid 1 starts another interpreter: is that one as locked down?
# expect: B
# unsandboxed: not-run
# outcome: error

os._exit(3)
# --- again
import resource
import stat

status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
bad = [name for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
bad += [name for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2")) if status[name].strip() != wanted]
bad += [name for name in ("Uid", "Gid") if status[name].split() != ["1000"] * 4]
bad += [name for name in ("AS", "FSIZE") if resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] == -1]
bad += [name for name, most in (("NOFILE", 1024), ("CORE", 1), ("MEMLOCK", 0)) if resource.getrlimit(getattr(resource, "RLIMIT_" + name))[1] > most]
bad += ["dumpable"] if attempt(open, "/proc/self/mem", "rb") == "ok" else []
bad += ["Landlock"] if attempt(os.close, os.open("/tmp/x", os.O_CREAT)) != "ok" or attempt(os.mkfifo, "/proc/self/x") == "ok" else []
bad += ["oom score"] if int(open("/proc/self/oom_score_adj").read()) != 1000 else []
bad += ["seccomp"] if call(NR["unshare"], 0x10000000) != "EPERM" else []
for fd in range(4, 1024):
    try:
        info = os.fstat(fd)
    except OSError:
        continue
    if fd == 4 and stat.S_ISSOCK(info.st_mode):
        continue  # the nursery: orders to fork
    if not any(os.path.samestat(info, os.fstat(standard)) for standard in (0, 1, 2)):
        bad.append("descriptor %d %o" % (fd, stat.S_IFMT(info.st_mode)))
print("looked")
if bad:
    escaped(bad)
