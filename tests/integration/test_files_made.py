"""The files that a snippet made or changed stand in its result: as the daemon finds them, whatever the program does."""

from __future__ import annotations

import pytest
from sandboxd_client import Limits, Sandbox

pytestmark = pytest.mark.userns


@pytest.fixture
def sandbox(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as opened:
        opened.run_code("import os, time, subprocess, sys")
        yield opened


def made(sandbox, code, **options):
    # Past the kernel's tick: what changed within the same one cannot be told apart.
    sandbox.run_code("import time; time.sleep(0.02)")
    done = sandbox.run_code(code, **options)
    assert not done.files_truncated
    return [file.path for file in done.files]


def test_what_is_made_is_listed_with_its_facts(sandbox):
    done = sandbox.run_code("os.makedirs('d/e'); open('d/e/f', 'w').write('12345'); open('g', 'w').close()")
    assert [(one.path, one.size_bytes, one.kind) for one in done.files] == [
        ("d/e/f", 5, "file"),
        ("g", 0, "file"),
    ]
    assert [sandbox.run_code(code).files for code in ("time.sleep(0.02)", "1+1")] == [[], []]


def test_a_change_that_leaves_every_count_as_it_was_is_found(sandbox):
    sandbox.run_code(
        "held = open('held', 'w'); held.write('1'); held.flush()\nopen('same', 'w').write('abc')"
    )
    assert made(sandbox, "open('same', 'w').write('xyz')") == ["same"]
    assert made(sandbox, "_ = held.write('2'); held.flush()") == ["held"]
    assert made(sandbox, "os.rename('same', 'other')") == ["other"]
    assert made(sandbox, 'subprocess.run([sys.executable, \'-c\', \'open("child", "w").write("1")\'])') == [
        "child"
    ]


def test_a_forged_time_hides_nothing(sandbox):
    assert made(sandbox, "open('f', 'w').write('1'); os.utime('f', (0, 0))") == ["f"]
    assert made(sandbox, "os.utime('f', (2**31, 2**31))") == ["f"]


def test_what_the_client_puts_there_is_not_the_snippet_s(sandbox):
    for number in range(5):
        sandbox.files.write(f"in{number}", b"data")
        assert [file.path for file in sandbox.run_code("open('out', 'w').write('1')").files] == ["out"]
    sandbox.files.rename("in0", "in9")
    assert [file.path for file in sandbox.run_code("open('out', 'w').write('2')").files] == ["out"]


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("raise ValueError", "error"),
        ("while True: pass", "timeout_wall"),
        ("import ctypes; ctypes.string_at(0)", "crashed"),
        ("os._exit(3)", "error"),
        ("print('x' * 10_000_000)", "output_limit"),
    ],
)
def test_however_the_snippet_ends(sandbox, code, outcome):
    done = sandbox.run_code(f"open('f', 'w').write('1')\n{code}", timeout=3)
    assert done.outcome == outcome
    assert [file.path for file in done.files] == ["f"]


def test_after_a_kill(daemon):
    # Blocked signals: only the kill ends it, and another interpreter is there before the files are looked for.
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        code = (
            "import hashlib\nopen('f', 'w').write('1')\nhashlib.pbkdf2_hmac('sha256', b'a', b'b', 2**31 - 1)"
        )
        done = sandbox.run_code(code, timeout=2)
        assert (done.outcome, done.variables_lost) == ("timeout_wall", True)
        assert [file.path for file in done.files] == ["f"]


def test_hostile_trees_are_cut_and_said_to_be(sandbox):
    odd = """
import os
os.mkdir('odd')
for name in (b'a\\nb', b'\\xff\\xfe', b'-rf', 'é'.encode(), b'x' * 255, b'.sandboxd-upload-1', b' ', b'\\x1b[31m'):
    open(b'odd/' + name, 'w').close()
os.symlink('/etc/passwd', 'odd/link')
os.symlink('/', 'odd/root')
"""
    names = {name.removeprefix("odd/") for name in made(sandbox, odd)}
    assert {"a\nb", "\\xff\\xfe", "-rf", "é", "x" * 255, ".sandboxd-upload-1", " ", "link", "root"} <= names
    deep = "for _ in range(3000):\n    try: os.mkdir('d'); os.chdir('d')\n    except OSError: break\nopen('f', 'w').close()"
    sandbox.run_code("import time; time.sleep(0.02)")
    done = sandbox.run_code(f"{deep}\nos.chdir('/work'); open('top', 'w').close()")
    assert done.files_truncated
    assert [file.path for file in done.files] == ["top"]


def test_a_hundred_thousand_files(start_daemon, tmp_path):
    policy = tmp_path / "many.yaml"
    policy.write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: many}\nextends: unscreened\n"
        "limits: {files: 200000, wall: 120s, cpu: 120s}\n"
    )
    daemon = start_daemon("--allow-unscreened", "--policy-dir", str(tmp_path))
    assert not daemon.error
    with Sandbox(address=daemon.address, policy="many") as sandbox:
        code = "import os\nfor n in range(100_000):\n    os.close(os.open(f'{n}', os.O_CREAT))"
        done = sandbox.run_code(code, timeout=100)
        assert done.ok, done
        assert done.files_truncated
        assert 0 < len(done.files) <= 256
        assert sandbox.run_code("1+1").text == "2"
        listing = sandbox.files.list()
        assert (len(listing), listing.truncated) == (10_000, True)


def test_files_are_listed_in_a_restricted_session(daemon):
    with Sandbox(address=daemon.address, policy="pure") as sandbox:
        assert made(sandbox, "with open('f', 'w') as file: file.write('1')") == ["f"]
        assert made(sandbox, "with open('f', 'w') as file: file.write('2')") == ["f"]


def test_a_full_disk_is_no_hindrance(daemon):
    with Sandbox(address=daemon.address, policy="unscreened", limits=Limits(disk_bytes=4 << 20)) as sandbox:
        done = sandbox.run_code("open('f', 'wb').write(bytes(8 << 20))")
        assert done.error is not None
        assert [file.path for file in done.files] == ["f"]
