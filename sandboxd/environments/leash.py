"""Run a command and end its whole process group when stdin closes. Executed, never imported by the daemon.

pip starts children of its own. If the process that ordered the work is killed with SIGKILL, the kernel closes
its end of this pipe, and nothing goes on writing into a directory that the next run will sweep.
"""

import os
import select
import signal
import subprocess
import sys


def main(command: list[str]) -> int:
    """Run `command`; return its exit status, or 128 + signal."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        select.select([0, os.pidfd_open(child.pid)], [], [])
    finally:
        # Before wait(): the leader, dead or not, still holds the group's number.
        os.killpg(child.pid, signal.SIGKILL)
        status = child.wait()
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
