"""Tricks with files, by the program, by the caller and by both at once: nothing outside /work is read or written.

Each operation of the wire goes at each trick. It either does its work on what lies below /work, or is refused with a code.
Outside stand a secret and a listing in /tmp of the same box (the one other place that a program can write to), the box's own
system files, and whatever /proc leads to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json

import pytest
from sandboxd_client import AsyncSandbox, RefusedError, Sandbox

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]

CODES = {
    *("FILE_NOT_FOUND", "FILE_PATH_INVALID", "FILE_NOT_REGULAR", "FILE_TOO_LARGE", "FILE_FAILED"),
    *("FILE_HASH_MISMATCH", "INVALID_REQUEST"),
}
SECRET = "secret-outside-5f1d"
PREPARE = f"""
import os, socket, stat, json, time
os.makedirs('/tmp/outside/below')
for name in ('secret', 'below/secret'):
    with open('/tmp/outside/' + name, 'w') as file:
        file.write({SECRET!r})
open('/tmp/outside/only-there', 'w').close()
def attempt(call, *arguments):
    try: return call(*arguments)
    except OSError as error: print(error)
def tree(top='/tmp'):
    return sorted((path, sorted(names), sorted(files)) for path, names, files in os.walk(top))
before = tree(), open('/tmp/outside/secret').read(), open('/tmp/outside/below/secret').read()
"""
UNTOUCHED = """
after = tree(), open('/tmp/outside/secret').read(), open('/tmp/outside/below/secret').read()
print(json.dumps(before == after))
"""

# What a program plants at "t" (a directory in "t/x" too, where it can).
PLANTED = {
    "link to a file outside": "os.symlink('/tmp/outside/secret', 't')",
    "link to a directory outside": "os.symlink('/tmp/outside', 't')",
    "relative link upwards": "os.symlink('../tmp/outside/secret', 't')",
    "link upwards to a directory": "os.symlink('../tmp/outside', 't')",
    "link in the middle": "os.mkdir('m'); os.symlink('/tmp/outside', 'm/l'); os.symlink('m/l', 't')",
    "dangling": "os.symlink('/tmp/outside/made-by-a-write', 't')",
    "loop": "os.symlink('t', 't')",
    "loop of two": "os.symlink('u', 't'); os.symlink('t', 'u')",
    "chain of forty": "for n in range(40): os.symlink(f'c{n + 1}', f'c{n}')\nos.symlink('/tmp/outside/secret', 'c40'); os.symlink('c0', 't')",
    "proc self root": "os.symlink('/proc/self/root/tmp/outside', 't')",
    "proc self cwd": "os.symlink('/proc/self/cwd/../tmp/outside', 't')",
    "proc self fd": "held = os.open('/tmp/outside', os.O_RDONLY); os.symlink(f'/proc/self/fd/{held}', 't')",
    "fd of this very process": "held = os.open('/tmp/outside', os.O_RDONLY); os.symlink(f'/proc/{os.getpid()}/fd/{held}', 't')",
    "proc 1 root": "os.symlink('/proc/1/root', 't')",
    "proc 1 environ": "os.symlink('/proc/1/environ', 't')",
    "dev": "os.symlink('/dev/zero', 't')",
    "dev stdin": "os.symlink('/dev/stdin', 't')",
    "link to itself's parent": "os.symlink('.', 't')",
    "FIFO": "attempt(os.mkfifo, 't')",
    "socket": "attempt(socket.socket, socket.AF_UNIX) and socket.socket(socket.AF_UNIX).bind('t')",
    "character device": "attempt(os.mknod, 't', 0o666 | stat.S_IFCHR, os.makedev(1, 5))",
    "block device": "attempt(os.mknod, 't', 0o666 | stat.S_IFBLK, os.makedev(8, 0))",
    "hard link outside": "attempt(os.link, '/tmp/outside/secret', 't')",
    "hard link to the library": "attempt(os.link, os.__file__, 't')",
    "hard link to /proc": "attempt(os.link, '/proc/self/environ', 't')",
    "a directory": "os.makedirs('t/x/y')",
    "no mode": "open('t', 'w').close(); os.chmod('t', 0)",
    "directory of no mode": "os.makedirs('t/x'); os.chmod('t', 0)",
    "read-only directory": "os.makedirs('t/x'); os.chmod('t', 0o555)",
    "write-only directory": "os.makedirs('t/x'); os.chmod('t', 0o333)",
    "read-only file": "open('t', 'w').close(); os.chmod('t', 0o444)",
    "set-id file": "open('t', 'w').close(); os.chmod('t', 0o6777)",
    "work itself read-only": "os.chmod('/work', 0o555)",
    "work itself of no mode": "os.chmod('/work', 0)",
    "names of temporaries": "for n in range(200): os.symlink('/tmp/outside/secret', f'.sandboxd-upload-{n}')",
    "sparse": "attempt(os.truncate, os.open('t', os.O_CREAT | os.O_RDWR), 1 << 40)",
    "deep": "for _ in range(600):\n    os.mkdir('t'); os.chdir('t')\nos.chdir('/work')",
    "inodes full": "for n in range(100_000):\n    if attempt(os.mkdir, f'{n:06d}') is None and not os.path.isdir(f'{n:06d}'): break",
    "disk full": "full = open('full', 'wb')\ntry:\n    while True: full.write(bytes(1 << 20)); full.flush()\nexcept OSError: pass",
    "replaced working directory": "attempt(os.rename, '/work', '/tmp/work'); attempt(os.rmdir, '/work')",
}
PATHS = [
    "t",
    "t/secret",
    "t/below",
    "t/x",
    "t/x/y",
    "t/../t",
    "/work/t/below/secret",
    "/work/../tmp/outside/secret",
    "t/.",
]


def operations(files, path):
    """Each operation at a path, in both directions."""
    yield "list", lambda: files.list(path)
    yield "stat", lambda: files.stat(path)
    yield "exists", lambda: files.exists(path)
    yield "read", lambda: files.read(path, format="bytes", timeout=20)
    yield "write", lambda: files.write(path, b"upload")
    yield "make_dir", lambda: files.make_dir(path + "/made")
    yield "rename from", lambda: files.rename(path, "renamed")
    yield "rename to", lambda: files.rename("mine", path)
    yield "rename below", lambda: files.rename("mine", path + "/mine")
    yield "remove", lambda: files.remove(path)


def go(files, path):
    """Try everything; return what was read."""
    with contextlib.suppress(RefusedError):
        files.write("mine", b"mine")
    seen = []
    for name, operation in operations(files, path):
        try:
            seen.append(operation())
        except RefusedError as error:
            assert error.code in CODES, (name, path, error)
    return seen


def test_nothing_outside_is_reached_by_what_a_program_planted(daemon):
    wrong = []
    for name, plant in PLANTED.items():
        with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
            assert sandbox.run_code(PREPARE).ok
            planted = sandbox.run_code(plant, timeout=20)
            assert planted.ok, (name, planted)
            for path in PATHS:
                wrong += [(name, path) for one in go(sandbox.files, path) if _is_outside(one)]
            done = sandbox.run_code(UNTOUCHED)
            if json.loads(done.stdout or "null") is not True:
                wrong.append((name, "wrote", done))
            assert sandbox.run_code("1 + 1").text == "2", name
    assert wrong == []


def _is_outside(seen) -> bool:
    if isinstance(seen, bytes):
        return SECRET.encode() in seen or b"root:" in seen
    return isinstance(seen, list) and any(one.name in {"only-there", "usr", "environ"} for one in seen)


@pytest.mark.parametrize(
    "path",
    [
        "", ".", "..", "/", "//", "/work", "/work/", "/work/..", "/workx", "/workx/f", "/tmp/outside/secret", "a/../../tmp/f",
        "../work/f", "./../f", "a\0b", "\0", "a\nb", "a\x1b[2Jb", "\u202egnp.exe", "\ud800", "x" * 255, "x" * 256, "é" * 127,
        "é" * 128, "x/" * 2048, "x" * 4096, "x" * 5000, "/".join(["y" * 200] * 6), "~/f", "$HOME", "%2e%2e/f", "..\\f", "C:\\f",
        "-rf", "*", " ", "a//b", "a/./b", "con", "\ufeff", "\u2025/f", "\uff0e\uff0e/f",
    ],
)  # fmt: skip
def test_odd_paths_have_a_code_or_stay_below(daemon, path):
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        assert sandbox.run_code(PREPARE).ok
        # A path that is no Unicode is refused by the client's own side, which cannot send it.
        with contextlib.suppress(ValueError):
            assert not any(_is_outside(one) for one in go(sandbox.files, path))
        assert json.loads(sandbox.run_code(UNTOUCHED).stdout) is True


def test_case_and_normal_form_make_two_names(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        names = ["a", "A", "\u00e9", "e\u0301", "Screenshot\u202f1.png", "no\u00a0break"]
        for name in names:
            sandbox.files.write(name, name)
        assert [sandbox.files.read(name) for name in names] == names
        assert sorted(file.name for file in sandbox.files.list()) == sorted(names)
        assert sandbox.run_code("import os; len(os.listdir())").text == str(len(names))


def test_names_that_cannot_be_asked_for_are_shown_and_harmless(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        code = (
            "for name in (b'\\xff\\xfe', b'a\\nb', b'\\x1b[2J', b'\\xe2\\x80\\xae'): open(name, 'w').close()"
        )
        assert sandbox.run_code(code).ok
        assert {file.name for file in sandbox.files.list()} == {"\\xff\\xfe", "a\nb", "\x1b[2J", "\u202e"}
        for file in sandbox.files.list():
            with pytest.raises(RefusedError):
                sandbox.files.read(file.path)


RACE = """
import os, threading, time
os.makedirs('/tmp/outside', exist_ok=True)
for name in ('secret', 'f', 'only-there'):
    with open('/tmp/outside/' + name, 'w') as file: file.write(%r)
os.makedirs('real', exist_ok=True)
open('real/f', 'w').write('mine')
os.symlink('/tmp/outside', 'fake')
os.symlink('/tmp/outside/secret', 'leaf')
open('plain', 'w').write('mine')
def swap(one, two, place):
    while time.monotonic() < until:
        for source in (one, two):
            try: os.rename(place, source + '.away')
            except OSError: pass
            try: os.rename(source, place)
            except OSError: pass
            try: os.rename(place, source); os.rename(source, place)
            except OSError: pass
            try: os.rename(source + '.away', source)
            except OSError: pass
until = time.monotonic() + 6
threads = [threading.Thread(target=swap, args=arguments) for arguments in (
    ('real', 'fake', 'd'), ('plain', 'leaf', 'p'))]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(sorted(os.listdir('/tmp/outside')), open('/tmp/outside/secret').read(), open('/tmp/outside/f').read())
"""


async def test_swaps_in_mid_way_lead_nowhere(daemon):
    # Threads of the program swap a directory and a file for links while each operation goes on.
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as sandbox:
        running = asyncio.create_task(sandbox.run_code(RACE % SECRET, timeout=25))
        done, tried = 0, 0
        while not running.done():
            for operation in (
                sandbox.files.read("d/f", format="bytes"), sandbox.files.write("d/f", b"uploaded"),
                sandbox.files.read("p", format="bytes"), sandbox.files.write("p", b"uploaded"), sandbox.files.list("d"),
                sandbox.files.rename("d/f", "d/g"), sandbox.files.rename("d/g", "d/f"), sandbox.files.make_dir("d/n"),
                sandbox.files.remove("d/n"), sandbox.files.stat("d/f"),
            ):  # fmt: skip
                tried += 1
                try:
                    seen = await operation
                except RefusedError as error:
                    assert error.code in CODES, error
                else:
                    done += 1
                    assert seen != SECRET.encode()
                    assert not (isinstance(seen, list) and any(one.name == "only-there" for one in seen))
        result = await running
        assert result.stdout == f"['f', 'only-there', 'secret'] {SECRET} {SECRET}\n", result
        assert 0 < done < tried, "the race was none: every operation met the same thing"


def test_a_full_disk_refuses_and_an_upload_leaves_nothing(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        fill = "full = open('full', 'wb')\ntry:\n    while True: full.write(bytes(1 << 20)); full.flush()\nexcept OSError: pass"
        assert sandbox.run_code(fill).ok
        with pytest.raises(RefusedError) as refused:
            sandbox.files.write("more", b"x" * 1_000_000)
        assert refused.value.code in {"FILE_TOO_LARGE", "FILE_FAILED"}
        assert [file.name for file in sandbox.files.list()] == ["full"]
        sandbox.files.remove("full")
        sandbox.run_code("full.close()")
        sandbox.files.write("more", b"x" * 1_000_000)
