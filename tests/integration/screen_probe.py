"""Runs in the place of a screener's loop, after the same lock-down: tries what a hijacked parser would, and tells what came of it.

`python -I -S -B screen_probe.py FOLDER FILTER`: FOLDER holds the `sandboxd` package, or a mutant of it. Answers one line of JSON
on descriptor 0: for each attempt the name of its errno, "done" where it succeeded, or another error's name.
"""

import base64
import contextlib
import ctypes
import errno
import json
import mmap
import os
import resource
import runpy
import signal
import socket
import sys

folder, program = sys.argv[1:]
boot = runpy.run_path(folder + "/sandboxd/screen/boot.py")
sys.meta_path.insert(
    0, boot["Chosen"]({"sandboxd": folder}, {"sandboxd.screen": folder + "/sandboxd/screen"})
)

from sandboxd.screen.confined import confine  # noqa: E402  found by the line above

libc = ctypes.CDLL(None, use_errno=True)
AS = resource.RLIMIT_AS


def call(result):
    if result < 0:
        raise OSError(ctypes.get_errno(), "")


def fork():
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def executable_memory():
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def make_executable():
    """From data to code: what a shell code's author does first."""
    page = mmap.mmap(-1, 4096)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    call(libc.mprotect(ctypes.c_void_p(address), 4096, mmap.PROT_READ | mmap.PROT_EXEC))


def ptrace():
    """PTRACE_ATTACH to no process: the kernel looks for it only where the call is allowed."""
    with contextlib.suppress(ProcessLookupError):
        call(libc.ptrace(16, 0, 0, 0))


ATTEMPTS = {
    "open": lambda: os.close(os.open("/etc/passwd", os.O_RDONLY)),
    "create": lambda: os.close(os.open("/tmp/screen-probe", os.O_WRONLY | os.O_CREAT, 0o600)),
    "list": lambda: os.listdir("/"),
    "proc of another": lambda: os.close(os.open(f"/proc/{os.getppid()}/stat", os.O_RDONLY)),
    "proc of itself": lambda: os.close(os.open("/proc/self/mem", os.O_RDWR)),
    "stat": lambda: os.stat("/etc"),
    "socket": lambda: socket.socket(socket.AF_INET).close(),
    "unix socket": lambda: socket.socket(socket.AF_UNIX).close(),
    "socketpair": lambda: [end.close() for end in socket.socketpair()],
    "send on its own": lambda: call(libc.send(0, b"", 0, 0)),
    "pipe": os.pipe,
    "dup": lambda: os.dup(0),
    "memfd": lambda: os.memfd_create("x"),
    "fork": fork,
    "signal": lambda: os.kill(os.getppid(), 0),
    "signal itself": lambda: os.kill(os.getpid(), 0),
    "ptrace": ptrace,
    "unshare": lambda: call(libc.unshare(0x10000000)),
    "chroot": lambda: os.chroot("/"),
    "mount": lambda: call(libc.mount(b"x", b"/tmp", b"tmpfs", 0, None)),
    "setuid": lambda: os.setuid(0),
    "prctl": lambda: call(libc.prctl(4, 1, 0, 0, 0)),
    "limits of another": lambda: resource.prlimit(os.getppid(), AS),
    "limits of its own": lambda: resource.setrlimit(AS, resource.getrlimit(AS)),
    "executable memory": executable_memory,
    "make executable": make_executable,
    "write elsewhere": lambda: os.write(2, b""),
    "memory": lambda: bytearray(2**31),
    "exec": lambda: os.execv("/bin/true", ["true"]),
}


def told(attempt):
    try:
        attempt()
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))
    except (MemoryError, ValueError) as error:
        return type(error).__name__
    return "done"


MISSING = confine(2**29, base64.b64decode(program))
sent = {"missing": MISSING, "signals": signal.getsignal(signal.SIGINT) == signal.SIG_IGN}
for name, attempt in ATTEMPTS.items():
    os.write(0, json.dumps([name, told(attempt)]).encode() + b"\n")
os.write(0, json.dumps(sent).encode() + b"\n")
os._exit(0)
