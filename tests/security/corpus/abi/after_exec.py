# title: an exec'd child starts anew: dumpable, no filter, own limits?
# expect: B
# unsandboxed: no-marker

import subprocess
import sys

CHILD = """
import os, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
bad = [name for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb") if int(status[name], 16)]
bad += [name for name, wanted in (("NoNewPrivs", "1"), ("Seccomp", "2")) if status[name].strip() != wanted]
for path in ("/proc/self/comm", "/proc/self/oom_score_adj", "/proc/self/mem", "/proc/self/clear_refs"):
    try:
        os.close(os.open(path, os.O_WRONLY))
        bad.append(path)
    except OSError as error:
        pass
bad += [fd for fd in range(3, 1024) if os.path.exists("/proc/self/fd/%d" % fd) and os.path.isdir("/proc/self/fd/%d" % fd)]
print(bad)
"""
done = subprocess.run([sys.executable, "-I", "-S", "-c", CHILD], capture_output=True, text=True)
print("stopped:", done.stdout.strip(), done.stderr.strip()[-200:])
if os.uname().nodename == "sandbox" and done.stdout.strip() != "[]":
    escaped(done.stdout.strip())
