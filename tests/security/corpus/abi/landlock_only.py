# title: write a file of an exec'd child's own in /proc, which mounts and modes allow
# expect: B
# unsandboxed: escapes

import subprocess
import sys

# An exec'd child is dumpable and owns its files in /proc, and /proc is mounted writable: only Landlock says no.
CHILD = "open('/proc/self/comm', 'w').write('renamed'); print(open('/proc/self/comm').read())"
done = subprocess.run([sys.executable, "-I", "-S", "-c", CHILD], capture_output=True, text=True)
if "renamed" in done.stdout:
    escaped("wrote below /proc")
print(
    "stopped:", done.stderr.strip().splitlines()[-1:] and done.stderr.strip().splitlines()[-1].split(":")[0]
)
