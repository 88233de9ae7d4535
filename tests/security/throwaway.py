"""A place that protects the machine and nothing else: the positive control of the attacks.

Namespaces of its own and a read-only view of the host, so that an item harms nobody; as for the rest, plain Python: root in
its namespace, no filter, no Landlock, no limits but of size. What prints its marker here and not in a box, the box stopped.

Run as a program: reads one JSON object a line, {"name": …, "code": …}; writes one a line, {"name": …, "output": …}.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

from sandboxd.jail import kernel

SECONDS = 20
SPACES = (
    kernel.CLONE_NEWUSER
    | kernel.CLONE_NEWNS
    | kernel.CLONE_NEWPID
    | kernel.CLONE_NEWNET
    | kernel.CLONE_NEWIPC
    | kernel.CLONE_NEWUTS
)
NO_CPU_SECONDS = 10


def enter() -> None:
    """Become root of namespaces of one's own over a host that cannot be written to."""
    user, group = os.geteuid(), os.getegid()
    kernel.unshare(SPACES)
    for name, text in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
        Path(f"/proc/self/{name}").write_text(text)
    if os.fork():  # the next child is pid 1 of the new namespace
        sys.exit(os.waitstatus_to_exitcode(os.wait()[1]))
    kernel.mount("", "/", "", kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.set_mount_flags("/", kernel.MS_RDONLY)
    for place in ("/tmp", "/dev/shm", "/var/tmp"):
        kernel.mount("scratch", place, "tmpfs", kernel.MS_NOSUID, "size=256m")
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID)
    kernel.prctl(kernel.PR_SET_PDEATHSIG, 9)


def limit() -> None:
    """Keep the machine from what a program may use up."""
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    resource.setrlimit(resource.RLIMIT_CPU, (NO_CPU_SECONDS, NO_CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_NPROC, (4096, 4096))
    ctypes.CDLL(None).prctl(kernel.PR_SET_PDEATHSIG, 9, 0, 0, 0)


def attempt(code: str) -> str:
    """Run a snippet by plain Python and return all that it printed."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            cwd="/tmp",
            start_new_session=True,
            preexec_fn=limit,
        )
    except subprocess.TimeoutExpired as error:
        return (error.stdout or b"").decode(errors="replace") + "\ntimeout"
    return done.stdout.decode(errors="replace")


def main() -> None:
    """Serve until the end of the input."""
    enter()
    for line in sys.stdin:
        task = json.loads(line)
        sys.stdout.write(json.dumps({"name": task["name"], "output": attempt(task["code"])}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
