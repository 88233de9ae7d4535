"""The private daemon: started once, shared, gone with its process, and clear about why it did not start."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from sandboxd_client import AsyncSandbox, DaemonStartError, Sandbox, SessionLostError, _embedded
from sandboxd_client._channel import Deadline

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _no_daemon_left(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("SANDBOXD_ADDRESS", raising=False)
    yield
    _embedded.stop()


def client(code: str, *arguments: str) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    env.pop("SANDBOXD_ADDRESS", None)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *arguments], stdout=subprocess.PIPE, text=True, env=env
    )


def wait_until_gone(pid: int, seconds: float = 10) -> None:
    until = time.monotonic() + seconds
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, f"process {pid} is still there"
        time.sleep(0.05)


@pytest.mark.userns
async def test_one_daemon_for_all_sandboxes_of_a_process() -> None:
    with Sandbox() as one, Sandbox() as two:
        async with AsyncSandbox() as three:
            assert one.address == two.address == three.address
            assert one.run_code("1").text == (await three.run_code("1")).text == "1"
    directory = Path(one.address.removeprefix("unix:")).parent
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert len(one.address) < 100


@pytest.mark.userns
def test_threads_start_it_once() -> None:
    addresses: list[str] = []
    threads = [
        threading.Thread(target=lambda: addresses.append(_embedded.start(Deadline(30)))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(addresses) == 5
    assert len(set(addresses)) == 1


@pytest.mark.userns
def test_a_dead_daemon_is_lost_and_the_next_sandbox_starts_another() -> None:
    with Sandbox() as sandbox:
        daemon = _embedded._daemon
        assert daemon is not None
        daemon.process.kill()
        daemon.process.wait()
        with pytest.raises(SessionLostError, match="DAEMON_ENDED"):
            sandbox.run_code("1")
    with Sandbox() as other:
        assert other.run_code("1").text == "1"
        assert other.address != sandbox.address
    assert not daemon.directory.exists()


ONE = """
import os, sys
from sandboxd_client import Sandbox, _embedded
sandbox = Sandbox().open()
sandbox.run_code("1")
print(_embedded._daemon.process.pid, _embedded._daemon.directory, flush=True)
"""


@pytest.mark.userns
def test_it_ends_with_its_process_and_leaves_nothing() -> None:
    with client(ONE) as process:
        assert process.stdout is not None
        pid, directory = process.stdout.read().split()
        assert process.wait(20) == 0
    assert not psutil.pid_exists(int(pid))
    assert not Path(directory).exists()


@pytest.mark.userns
def test_it_ends_when_its_process_is_killed() -> None:
    with client(ONE + "import time; time.sleep(60)") as process:
        assert process.stdout is not None
        pid, directory = process.stdout.readline().split()
        family = psutil.Process(int(pid)).children(recursive=True)
        process.kill()
        process.wait()
    for one in [int(pid), *(child.pid for child in family)]:
        wait_until_gone(one)
    until = time.monotonic() + 10
    while Path(directory).exists():  # its undertaker is the last to go
        assert time.monotonic() < until
        time.sleep(0.02)


FORKING = """
import os, sys, warnings
warnings.simplefilter("ignore")
from sandboxd_client import NotStartedError, Sandbox, _embedded
_embedded.start(__import__("sandboxd_client")._channel.Deadline(30))
parent = _embedded._daemon
inherited = Sandbox()
pid = os.fork()
if pid == 0:
    assert _embedded._daemon is None
    try:
        os.fstat(parent.lifeline)
    except OSError:
        pass
    else:
        os._exit(3)
    try:
        inherited.open()
    except NotStartedError as error:
        if error.code != "FORKED":
            os._exit(4)
    with Sandbox() as own:
        if own.run_code("40 + 2").text != "42" or own.address == parent.address:
            os._exit(5)
    sys.exit(0)  # atexit runs: it must end the child's daemon and leave the parent's
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert parent.process.poll() is None
with Sandbox() as sandbox:
    assert sandbox.address == parent.address
    print(sandbox.run_code("1").text)
"""


@pytest.mark.userns
def test_a_forked_child_starts_its_own_and_spares_the_parents() -> None:
    with client(FORKING) as process:
        assert process.stdout is not None
        assert process.stdout.read() == "1\n"
        assert process.wait(20) == 0


# ---- how it fails: an executable in the daemon's place


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> object:
    """Put a program in the interpreter's place; it finds the descriptors in its arguments."""

    def put(body: str) -> None:
        program = tmp_path / "python"
        head = f"#!{sys.executable}\nimport os, sys, time\nready = int(sys.argv[sys.argv.index('--ready-fd') + 1])\n"
        program.write_text(head + body)
        program.chmod(0o700)
        monkeypatch.setattr(sys, "executable", str(program))

    return put


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        (
            """os.write(ready, b'{"error": {"code": "USERNS_BLOCKED", "message": "m", "remedy": "do r"}}\\n')""",
            "USERNS_BLOCKED",
            "do r",
        ),
        ("""sys.stderr.write('boom \\x1b[2J'); sys.exit(3)""", "DAEMON_START_FAILED", "boom \ufffd[2J"),
        ("""os.write(ready, b'not json\\n')""", "DAEMON_START_FAILED", "doctor"),
        ("""os.write(ready, b'[1]\\n')""", "DAEMON_START_FAILED", "doctor"),
        ("""os.write(ready, b'{"address": 7}\\n')""", "DAEMON_START_FAILED", "doctor"),
        ("""os.write(ready, b'{"addr'); time.sleep(60)""", "DAEMON_START_TIMEOUT", "open_timeout"),
    ],
)
def test_why_it_did_not_start_is_said(instead: object, body: str, code: str, text: str) -> None:
    instead(body)  # type: ignore[operator]
    before = set(Path(_embedded._parent_directory()).glob("sandboxd-*"))
    began = time.monotonic()
    with pytest.raises(DaemonStartError) as caught:
        Sandbox(open_timeout=1.0).open()
    assert caught.value.code == code
    assert text in str(caught.value)
    assert time.monotonic() - began < 5
    assert set(Path(_embedded._parent_directory()).glob("sandboxd-*")) <= before
    assert _embedded._daemon is None


def test_an_interpreter_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    with pytest.raises(DaemonStartError, match="DAEMON_START_FAILED"):
        Sandbox().open()


def test_without_the_extra_the_remedy_is_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedded, "DAEMON_MODULES", ("no_such_module_here",))
    with pytest.raises(DaemonStartError, match=r"no_such_module_here.*pip install 'sandboxd\[daemon\]'"):
        Sandbox().open()


def test_the_daemon_gets_no_keys(instead: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    monkeypatch.setenv("SANDBOXD_POLICY_DIR", "/p")
    body = """import json; os.write(ready, json.dumps({"error": {"code": "X", "message": repr(sorted(os.environ))}}).encode())"""
    instead(body)  # type: ignore[operator]
    with pytest.raises(DaemonStartError) as caught:
        Sandbox().open()
    assert "SANDBOXD_POLICY_DIR" in caught.value.message
    assert "PATH" in caught.value.message
    assert "OPENAI_API_KEY" not in caught.value.message


def test_a_long_temporary_directory_is_avoided(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    long = tmp_path / ("x" * 60)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    assert _embedded._parent_directory() == "/tmp"


def test_a_daemon_that_ignores_its_lifeline_is_killed(instead: object) -> None:
    instead("""os.write(ready, b'{"address": "unix:/tmp/none"}\\n'); time.sleep(60)""")  # type: ignore[operator]
    _embedded.start(Deadline(5))
    daemon = _embedded._daemon
    assert daemon is not None
    _embedded.END_SECONDS, before = 0.3, _embedded.END_SECONDS
    try:
        _embedded.stop()
    finally:
        _embedded.END_SECONDS = before
    assert daemon.process.returncode == -signal.SIGKILL
    assert not daemon.directory.exists()
    assert _embedded.ended(daemon.address)
