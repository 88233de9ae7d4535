"""What a guest does not inherit, its control socket, and processes that cells fork."""

from __future__ import annotations

import json
import socket
import struct
import subprocess
import sys
import sysconfig

import pytest

from sandboxd.guest.frames import MAX_FROM_HOST_BYTES
from tests.guest_harness import ROOT, Guest

# A bare fork through libc runs none of Python's fork hooks: what the launcher's clone does.
_TWINS = """
import ctypes, json, os, signal, socket, struct, sys, random
root, site = sys.argv[1:3]
sys.path.insert(0, root)
sys.path.append(site)
import sandboxd.guest, multiprocessing, ssl, tempfile
ssl.RAND_bytes(16), random.random(), next(tempfile._get_candidate_names())
raw = {"preload": ["numpy"], "packages": [], "workdir": "/tmp"}
sandboxd.guest.warm(raw)
signal.signal(signal.SIGTERM, lambda *a: None)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
os.umask(0o077)
import atexit
atexit.register(print, "inherited")
code = sys.argv[3]
answers = []
for _ in range(2):
    ours, theirs = socket.socketpair()
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        ours.close()
        sandboxd.guest.serve(theirs, raw)
    theirs.close()
    def receive():
        size = struct.unpack(">I", ours.recv(4, socket.MSG_WAITALL))[0]
        return json.loads(ours.recv(size, socket.MSG_WAITALL))
    assert receive() == {"op": "ready"}
    payload = json.dumps({"op": "run", "id": "x", "code": code, "filename": "<cell 1>"}).encode()
    ours.sendall(struct.pack(">I", len(payload)) + payload)
    answers.append(receive()["text"])
    ours.close()
    assert os.waitpid(pid, 0)[1] == 0
atexit.unregister(print)
print(json.dumps(answers))
"""


def twins(code: str) -> tuple[str, str]:
    """Run one cell in two guests forked from the same warm process."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", _TWINS, str(ROOT), sysconfig.get_paths()["purelib"], code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = json.loads(done.stdout)
    return first, second


@pytest.mark.parametrize(
    "expression",
    [
        "__import__('random').random()",
        "__import__('numpy').random.rand()",
        "__import__('numpy').random.default_rng().random()",
        "__import__('tempfile').mktemp()",
        "__import__('multiprocessing').current_process().authkey",
        "__import__('uuid').uuid4()",
        "__import__('ssl').RAND_bytes(16)",
    ],
)
def test_twins_of_one_zygote_draw_different_values(expression: str) -> None:
    first, second = twins(expression)
    assert first != second


def test_inherited_state_is_dropped() -> None:
    code = """
import atexit, os, signal
old = os.umask(0)
(old, signal.getsignal(signal.SIGTERM).name, signal.pthread_sigmask(signal.SIG_BLOCK, ()), atexit._ncallbacks(), os.getcwd())"""
    assert twins(code)[0] == "(18, 'SIG_DFL', set(), 0, '/tmp')"


def test_the_daemons_package_is_out_of_reach(guest: Guest) -> None:
    assert guest.value("import sys\n[m for m in sys.modules if m.partition('.')[0] == 'sandboxd']") == "[]"
    assert guest.run("import sandboxd").error["name"] == "ModuleNotFoundError"
    assert guest.value(f"{str(ROOT)!r} in sys.path") == "False"
    assert guest.value("sys.path[-1] == __import__('os').getcwd()") == "True"


def test_the_end_of_the_control_socket_ends_the_guest() -> None:
    guest = Guest()
    guest.control.shutdown(socket.SHUT_WR)
    assert guest.wait() == 0
    guest.close()


@pytest.mark.parametrize(
    "raw",
    [
        struct.pack(">I", MAX_FROM_HOST_BYTES + 1),
        struct.pack(">I", 2) + b"[]",
        struct.pack(">I", 2) + b"\xff{",
        struct.pack(">I", 2) + b"{}",
    ],
)
def test_what_no_host_says_ends_the_guest(raw: bytes) -> None:
    guest = Guest()
    guest.control.sendall(raw)
    assert guest.wait() == 70
    guest.close()


def test_a_frame_in_pieces_is_put_together(guest: Guest) -> None:
    payload = json.dumps({"op": "run", "id": "p", "code": "'pieces'", "filename": "<cell p>"}).encode()
    for byte in struct.pack(">I", len(payload)) + payload:
        guest.control.sendall(bytes([byte]))
    assert guest.receive()["text"] == "'pieces'"


def test_closing_random_descriptors_ends_only_this_guest() -> None:
    with Guest() as guest:
        guest.begin("import os\nos.closerange(3, 100)")
        with pytest.raises(EOFError):
            guest.finish()
        assert guest.wait() == 70


def test_the_control_socket_does_not_reach_child_processes(guest: Guest) -> None:
    code = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', 'import os; print(os.listdir(\"/proc/self/fd\"))'], close_fds=False, capture_output=True, text=True).stdout"
    text = guest.value(code)
    assert text is not None
    assert "'3'" in text  # the listing's own
    assert "'4'" not in text


@pytest.mark.parametrize(
    ("ending", "status"), [("", 0), ("import sys; sys.exit(5)", 5), ("raise ValueError('in the child')", 1)]
)
def test_a_forked_child_never_speaks_for_the_guest(guest: Guest, ending: str, status: int) -> None:
    code = f"import os\npid = os.fork()\nif pid == 0:\n    print('child')\n    display('from the child')\n    {ending or 'pass'}\nelse:\n    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])"
    cell = guest.run(code)
    assert cell.ok
    assert cell.displays == []
    assert guest.value("code") == str(status)
    assert guest.output() == "child\n"
    assert ("in the child" in guest.output("stderr")) == (status == 1)


def test_multiprocessing_works(guest: Guest) -> None:
    code = "import multiprocessing as mp\ndef square(n):\n    return n * n\nwith mp.get_context('fork').Pool(2) as pool:\n    squares = pool.map(square, range(4))\nsquares"
    assert guest.value(code) == "[0, 1, 4, 9]"


@pytest.mark.parametrize(
    "vandalism",
    [
        "import json; json.dumps = json.loads = json.JSONEncoder.default = json.JSONEncoder.iterencode = None",
        "import os; os._exit = os.getpid = None",
        "import linecache, traceback; linecache.clearcache(); traceback.format_exception = None",
        "import sys; sys.modules.clear()",
        "import sys; sys.meta_path.clear(); sys.path_importer_cache.clear()",
        "import sys; sys.setrecursionlimit(60)",
        "import gc; [setattr(o, 'x', 1) for o in gc.get_objects() if type(o).__name__ == 'Session']",
        "import threading; threading.settrace(lambda *a: None)",
        "import builtins; del builtins.display, builtins.final_answer",
    ],
)
def test_patched_libraries_do_not_end_the_session(vandalism: str) -> None:
    with Guest() as guest:
        guest.run(vandalism)
        assert guest.value("6 * 7") == "42"
        assert guest.run("1 / 0").error["name"] == "ZeroDivisionError"


def test_a_cell_that_breaks_the_interpreter_gets_an_error() -> None:
    with Guest() as guest:
        guest.run("import builtins\nbuiltins.len = None\nbuiltins.issubclass = None")
        for _ in range(2):  # the answer is an error, not silence
            assert guest.run("1 / 0").error["message"].startswith("the cell broke the interpreter")
