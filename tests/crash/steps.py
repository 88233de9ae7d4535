"""The steps at which a part can be killed, as edits of a copy of the source that make it stand still there, once.

A part stands still by waiting for SIGUSR1 under a name that is seen from outside (/proc/<pid>/comm): that works in the
front as in a guest behind all its walls, and pid 1 of a namespace, which SIGSTOP does not stop, waits as well. A step is
armed by a file; whoever comes to it takes the file, so that nobody stops there a second time.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from pathlib import Path

from mutants import Edit
from traces import descent

STEPS = ("fork", "map", "mount", "guest", "checkout", "opened", "intent", "running", "stopped", "outcome")
"""On the way of an execution; `groups` is one on a launcher's: it has made the first of its cgroups."""
TARGETS = ("guest", "pid1", "zygote", "launcher", "front", "client")

INSIDE = (
    *("placed", "renamed", "forking"),
    *(f"{step}-{kind}" for step in ("adopt", "copy", "hear") for kind in ("live", "chec", "rest")),
)
"""Further steps of a box's inmates, which stand in edits of their own (`test_errands.py`)."""

IMPOSSIBLE = {
    ("fork", "guest"): "pid 1 forks the guest when the root is built: there is none yet",
    ("map", "guest"): "the same",
    ("mount", "guest"): "the same",
}

PAUSE = """
import ctypes, os, signal

libc = ctypes.CDLL(None)
INSIDE = {inside!r}
inside = ""

def taken(*steps):
    for step in steps:
        try:
            os.unlink(os.path.join({armed!r}, step))
        except OSError:
            continue
        return step
    return ""

def stop(step):
    libc.prctl(15, b"at-" + step.encode(), 0, 0, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
    signal.sigwait([signal.SIGUSR1])
    libc.prctl(15, b"python", 0, 0, 0)

def here(step):
    if taken(step):
        stop(step)

def in_box(step):
    global inside
    if inside == step:
        inside = ""
        stop(step)
"""

_MODULE = '__import__("sandboxd.jail.pause", fromlist=["here"])'


def from_above(step: str) -> str:
    """Return the statement by which front or launcher stands still at a step."""
    return f'{_MODULE}.here("{step}")'


def importing(path: str) -> Edit:
    """Return the edit by which a module of the jail has `pause` from the zygote on: inside nothing can be imported any more."""
    line = "from __future__ import annotations\n"
    return Edit(path, line, f"{line}from sandboxd.jail import pause\n")


def ahead(path: str, text: str, statement: str) -> Edit:
    """Return the edit that puts a statement before another one, in the same line."""
    return Edit(path, text, f"{statement}; {text}")


def before(path: str, line: str, *new: str) -> Edit:
    """Return the edit that puts statements before a line."""
    indent = line[: len(line) - len(line.lstrip())]
    return Edit(path, line, "".join(f"{indent}{text}\n" for text in new) + line)


EDITS = (
    *map(importing, ("jail/supervisor.py", "jail/lockdown.py")),
    # The zygote takes the arms of the steps inside a box along, where no file of the host is in reach.
    Edit("jail/zygote.py", "import kernel, supervisor, wire", "import kernel, pause, supervisor, wire"),
    before(
        "jail/zygote.py",
        "            pid, placed = _clone(",
        'config["pause"] = pause.inside = pause.taken("mount", "guest", "checkout", *pause.INSIDE)',
    ),
    before("jail/zygote.py", '            reply = {"op": "forked"', 'pause.here("fork")'),
    Edit(
        "launcher/cgroups/tree.py",
        "            parent.mkdir(exist_ok=True)\n",
        f'            parent.mkdir(exist_ok=True)\n            {_MODULE}.here("groups")\n',
    ),
    before("launcher/box.py", "            idmaps.write_maps(", f'{_MODULE}.here("map")'),
    before(
        "jail/supervisor.py",
        "        mounts.enter_root()",
        'if self.config["pause"] == "mount":',
        '    pause.stop("mount")',
    ),
    before(
        "jail/supervisor.py",
        '            "switch_ids": bool(message["switch_ids"]),',
        '"pause": self.config["pause"],',
    ),
    # A guest that takes the place of another does not stand still again.
    before(
        "jail/supervisor.py",
        '            self.order["limits"] = message["limits"]',
        'self.order["pause"] = ""',
    ),
    before(
        "jail/lockdown.py",
        '    kernel.load_seccomp(order["guest_filter"])',
        'if order["pause"] == "guest":',
        '    pause.stop("guest")',
    ),
    before(
        "jail/supervisor.py",
        "        kernel.capset(KEPT_CAPS, KEPT_CAPS, 0)",
        'if self.config["pause"] == "checkout":',
        '    pause.stop("checkout")',
    ),
    before(
        "executors/link.py",
        "        assert isinstance(message, protocol.LauncherMessage)",
        'if message.op == "opened":',
        f'    {_MODULE}.here("opened")',
    ),
    before("pipeline.py", "        result = _SHUTDOWN  # stands", f'{_MODULE}.here("intent")'),
    before(
        "log/segments.py",
        "        write_all(self._descriptor, data)",
        f"""if b'"execution_outcome"' in data and {_MODULE}.taken("outcome"):""",
        "    write_all(self._descriptor, data[:-40])",
        f'    {_MODULE}.stop("outcome")',
        "    data = data[-40:]",
    ),
)


def add_pauses(tree: Path, armed: Path) -> None:
    """Put the module that the edits call into the mutant."""
    (tree / "sandboxd" / "jail" / "pause.py").write_text(PAUSE.format(armed=str(armed), inside=INSIDE))


def standing_at(step: str) -> int:
    """Return the pid of the process that stands at a step, 0 when none does."""
    for pid in descent():
        try:
            if Path(f"/proc/{pid}/comm").read_text() == f"at-{step}\n":
                return pid
        except OSError:
            continue
    return 0


def go_on(pid: int) -> Callable[[], None]:
    """Return a function that lets the process at a step go on, and does nothing when it is dead.

    The signal goes to the one thread that waits for it: any other would end its process by it.
    """
    handle = os.pidfd_open(pid)

    def wake() -> None:
        alive = _alive(handle)
        os.close(handle)
        if alive:
            ctypes.CDLL(None).tgkill(pid, pid, signal.SIGUSR1)

    return wake


def _alive(pidfd: int) -> bool:
    try:
        signal.pidfd_send_signal(pidfd, 0)
    except ProcessLookupError:
        return False
    return True
