"""File operations on a box whose program plants every kind of name: never a byte from outside, never a hang."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import stat

import jail_boxes
import pytest
from jail_boxes import MIB, answer, run

from sandboxd.errors import Code, SandboxdError

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]


async def put(box, path: str, data: bytes) -> None:
    fd, _ = await box.open_file(path, "w")
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    committed = await box.commit_file(path, keep=True)
    assert committed.size_bytes == len(data)


async def get(box, path: str) -> bytes:
    async with asyncio.timeout(5):
        fd, _ = await box.open_file(path, "r")
    with os.fdopen(fd, "rb") as file:
        return file.read(64 * MIB)


async def refusal(call) -> Code:
    with pytest.raises(SandboxdError) as raised:
        async with asyncio.timeout(5):
            await call
    return raised.value.code


async def names(box, path: str = ".") -> set[str]:
    return {entry.path for entry in (await box.list_files(path))[0]}


# ---- what works ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["a.txt", "/work/a.txt", "./a.txt", "a/b/c/d.txt", "ünï/☃ 𝄞.txt", "-rf", "a b'\"$`.txt", "x" * 255],
)
async def test_what_is_uploaded_is_what_the_program_sees_and_the_other_way_round(box, path):
    data = os.urandom(70_000)
    await put(box, path, data)
    inside = path.removeprefix("/work/")
    code = (
        f"import hashlib, json; print(json.dumps(hashlib.sha256(open({inside!r}, 'rb').read()).hexdigest()))"
    )
    assert await answer(box, code) == hashlib.sha256(data).hexdigest()
    await run(box, f"open({inside!r}, 'ab').write(b'more')")
    assert await get(box, path) == data + b"more"
    assert (await box.stat_file(path)).size_bytes == len(data) + 4


async def test_the_program_owns_what_was_uploaded(box):
    await put(box, "d/f", b"1")
    result, _, _ = await run(
        box,
        "import os\nopen('d/f', 'w').write('2')\nos.rename('d/f', 'g')\nos.rmdir('d')\nos.chmod('g', 0o600)",
    )
    assert result.outcome == "ok"


async def test_list_and_stat_tell_kinds_and_sizes(box):
    await run(box, "import os\nos.mkdir('d')\nopen('f', 'w').write('123')\nos.symlink('/etc/passwd', 'l')")
    found = {entry.path: (entry.kind, entry.size_bytes) for entry in (await box.list_files("/work"))[0]}
    assert found["f"] == ("file", 3)
    assert found["d"][0] == "directory"
    assert found["l"][0] == "other"
    assert (await box.stat_file("l")).kind == "other"
    assert (await box.stat_file(".")).kind == "directory"


async def test_an_upload_shows_up_only_when_it_is_committed(box):
    fd, _ = await box.open_file("f", "w")
    os.write(fd, b"half")
    assert await names(box) == set()
    assert await refusal(box.stat_file("f")) is Code.FILE_NOT_FOUND
    os.close(fd)
    await box.commit_file("f", keep=False)
    assert await answer(box, "import json, os; print(json.dumps(os.listdir('.')))") == []


async def test_an_upload_replaces_and_an_abandoned_one_keeps_the_old(box):
    await put(box, "f", b"old")
    fd, _ = await box.open_file("f", "w")
    os.close(fd)
    await box.commit_file("f", keep=False)
    assert await get(box, "f") == b"old"
    await put(box, "f", b"new")
    assert await get(box, "f") == b"new"


@pytest.mark.parametrize("path", ["x" * 256, "taken"])
async def test_an_upload_that_cannot_be_put_in_place_leaves_nothing(box, path):
    await run(box, "import os; os.mkdir('taken')")
    fd, _ = await box.open_file(path, "w")
    os.close(fd)
    with pytest.raises(SandboxdError):
        await box.commit_file(path, keep=True)
    assert await answer(box, "import json, os; print(json.dumps(os.listdir('.')))") == ["taken"]


async def test_two_uploads_of_one_path_at_once_do_not_mix(box):
    first, _ = await box.open_file("f", "w")
    second, _ = await box.open_file("f", "w")
    os.write(first, b"first")
    os.write(second, b"second")
    os.close(first)
    os.close(second)
    await box.commit_file("f", keep=True)
    assert await get(box, "f") in {b"first", b"second"}
    await asyncio.gather(box.commit_file("f", keep=True), return_exceptions=True)
    left = await answer(box, "import json, os; print(json.dumps(os.listdir('.')))")
    assert left == ["f"], "a temporary of ours stays in the program's directory"


async def test_remove(box):
    await put(box, "d/f", b"1")
    assert await refusal(box.remove_file("d")) is Code.FILE_NOT_REGULAR
    await box.remove_file("d/f")
    await box.remove_file("d")
    assert await refusal(box.remove_file("d")) is Code.FILE_NOT_FOUND
    assert await refusal(box.remove_file(".")) is Code.FILE_PATH_INVALID


async def test_rename(box):
    await put(box, "a", b"1")
    await put(box, "b", b"2")
    assert (await box.rename_file("a", "b")).path == "b"
    assert await get(box, "b") == b"1"
    await box.make_directory("d/e")
    await box.rename_file("d", "new/f")
    assert (await box.stat_file("new/f/e")).kind == "directory"
    for path, new_path, code in [
        ("gone", "other/x", Code.FILE_NOT_FOUND),
        ("b", "new", Code.FILE_NOT_REGULAR),
        ("new", "new/f/e/x", Code.FILE_PATH_INVALID),
        ("b", "b/x", Code.FILE_NOT_FOUND),
        (".", "x", Code.FILE_PATH_INVALID),
        ("b", ".", Code.FILE_PATH_INVALID),
        ("b", "../x", Code.FILE_PATH_INVALID),
        ("b", "x" * 256, Code.FILE_PATH_INVALID),
    ]:
        assert await refusal(box.rename_file(path, new_path)) is code, (path, new_path)
    names = sorted(entry.path for entry in (await box.list_files("."))[0])
    assert names == ["b", "new"], "a refused rename made directories, or lost a file"


async def test_make_directory(box):
    await put(box, "f", b"1")
    assert (await box.make_directory("d/e")).kind == "directory"
    assert (await box.make_directory("d")).path == "d"
    assert (await box.make_directory(".")).kind == "directory"
    assert await refusal(box.make_directory("f")) is Code.FILE_NOT_FOUND
    assert await refusal(box.make_directory("f/x")) is Code.FILE_NOT_FOUND
    assert await answer(
        box, "import json, os; print(json.dumps([os.getuid() == os.stat('d/e').st_uid, os.listdir('d')]))"
    ) == [True, ["e"]]


async def test_removing_a_link_removes_the_link(box):
    await run(box, "import os; open('f', 'w').write('1'); os.symlink('f', 'l')")
    await box.remove_file("l")
    assert await names(box) == {"f"}


async def test_files_work_while_a_cell_runs_and_after_a_kill(box):
    running = asyncio.ensure_future(run(box, "import time; time.sleep(20)", 0.5))
    await put(box, "f", b"1")
    assert await get(box, "f") == b"1"
    await running
    assert await get(box, "f") == b"1"


# ---- what is refused ----------------------------------------------------------------------------------------------

BAD_PATHS = ["..", "../etc/passwd", "a/../../etc/passwd", "/etc/passwd", "/", "/work/../etc/passwd", "//etc/passwd", "/workx/y",
             "a\0b", "a\nb", "x/" * 600, "\ud800"]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
async def test_paths_that_lead_out_are_refused(box, path):
    for call in (
        box.open_file(path, "r"),
        box.open_file(path, "w"),
        box.list_files(path),
        box.stat_file(path),
        box.remove_file(path),
    ):
        assert await refusal(call) is Code.FILE_PATH_INVALID


PLANTED = {
    "a link to a file": "os.symlink('/etc/passwd', 'x')",
    "a relative link out": "os.symlink('../etc/passwd', 'x')",
    "a link to a device": "os.symlink('/dev/zero', 'x')",
    "a link to itself": "os.symlink('x', 'x')",
    "a link into proc": "os.symlink('/proc/self/status', 'x')",
    "a magic link": "os.symlink('/proc/self/fd/1', 'x')",
    "a link to a file beside it": "open('y', 'w').write('root:'); os.symlink('y', 'x')",
    "a directory": "os.mkdir('x')",
    "a file without read permission": "open('x', 'w').write('root:'); os.chmod('x', 0)",
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED.keys())
async def test_what_is_no_regular_file_is_not_read(box, plant):
    assert (await run(box, f"import os\n{plant}"))[0].outcome == "ok"
    assert await refusal(box.open_file("x", "r")) in {
        Code.FILE_PATH_INVALID,
        Code.FILE_NOT_REGULAR,
        Code.FILE_FAILED,
    }


@pytest.mark.parametrize("target", ["/", "/etc", "/proc/self", "/proc/1/root", "..", "/tmp", "."])
async def test_nothing_is_reached_through_a_directory_that_is_a_link(box, target):
    await run(box, f"import os; os.symlink({target!r}, 'd'); open('/tmp/passwd', 'w').write('root:')")
    calls = [box.open_file("d/passwd", "r"), box.open_file("d/new", "w"), box.open_file("d/a/b", "w"), box.list_files("d"),
             box.stat_file("d/passwd"), box.remove_file("d/passwd")]  # fmt: skip
    for call in calls:
        assert await refusal(call) in {Code.FILE_PATH_INVALID, Code.FILE_NOT_FOUND}
    assert await answer(box, "import json, os; print(json.dumps(sorted(os.listdir('/tmp'))))") == ["passwd"]


async def test_a_link_in_place_of_the_target_is_replaced_and_not_followed(box):
    await run(box, "import os; open('/tmp/victim', 'w').write('kept'); os.symlink('/tmp/victim', 'x')")
    await put(box, "x", b"uploaded")
    assert await answer(
        box, "import json; print(json.dumps([open('x').read(), open('/tmp/victim').read()]))"
    ) == ["uploaded", "kept"]


async def test_an_upload_under_way_has_no_name_that_a_program_could_reach(box):
    fd, _ = await box.open_file("x", "w")
    os.write(fd, b"whole")
    look = """
import json, os
names, reached = sorted(os.listdir('.')), []
for pid in [name for name in os.listdir('/proc') if name.isdigit()] + ['1']:
    for number in range(64):
        try: text = os.readlink(f'/proc/{pid}/fd/{number}')
        except OSError: continue
        if pid != str(os.getpid()) or '/work' in text: reached.append(text)
print(json.dumps([names, reached]))
"""
    assert await answer(box, look) == [[], []]
    os.close(fd)
    await box.commit_file("x", keep=True)
    assert await get(box, "x") == b"whole"
    assert await answer(box, "import json, os; print(json.dumps(os.listdir('.')))") == ["x"]


async def test_an_upload_never_follows_a_link_in_its_place(box):
    fd, _ = await box.open_file("x", "w")
    os.write(fd, b"new")
    os.close(fd)
    await run(box, "import os; open('victim', 'w').write('old'); os.symlink('victim', 'x')")
    await box.commit_file("x", keep=True)
    assert await get(box, "x") == b"new"
    assert await get(box, "victim") == b"old"


async def test_a_sparse_file_is_as_large_as_the_disk_limit_at_most(box):
    code = "import json, os\nsizes = []\n" + "".join(
        f"try: os.truncate(os.open('s{n}', os.O_CREAT | os.O_RDWR), 1 << {n}); sizes.append({n})\nexcept OSError: pass\n"
        for n in (20, 24, 30, 40, 60)
    )
    assert await answer(box, code + "print(json.dumps(sizes))") == [20, 24]
    assert len(await get(box, "s24")) == 16 * MIB


async def test_a_hard_link_cannot_bring_in_a_file_of_the_host(box):
    code = """
import errno, json, os
results = []
for source in (os.__file__, "/etc/passwd", "/proc/self/status", "/dev/null"):
    try: os.link(source, "x"); results.append("ok")
    except OSError as error: results.append(errno.errorcode[error.errno])
print(json.dumps(results))
"""
    assert set(await answer(box, code)) <= {"EXDEV", "EPERM", "EACCES", "EROFS"}


async def test_pipes_sockets_and_devices_cannot_be_made(box):
    code = """
import json, os, socket, stat
made = []
for kind in (stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFCHR, stat.S_IFBLK):
    try: os.mknod("x", kind | 0o666, os.makedev(1, 5)); made.append(kind)
    except OSError: pass
print(json.dumps(made))
"""
    assert await answer(box, code) == []


@pytest.mark.parametrize("kind", [stat.S_IFIFO, stat.S_IFSOCK])
async def test_a_pipe_or_socket_would_not_hang_the_host(open_box, kind):
    # Planted from outside, because the filter refuses it inside: what reads must not rely on that filter.
    if os.geteuid() != 0:
        pytest.skip("only root reaches into a box that is not dumpable")
    others = set(jail_boxes.find("inmate", os.getpid()))
    box = await open_box()
    (inmate,) = set(jail_boxes.find("inmate", os.getpid())) - others
    work = os.open(f"/proc/{inmate}/root/work", os.O_RDONLY)
    owner = os.fstat(work).st_uid
    try:
        os.setegid(owner)
        os.seteuid(owner)
        os.mknod("x", kind | 0o666, dir_fd=work)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.close(work)
    assert await refusal(box.open_file("x", "r")) is Code.FILE_NOT_REGULAR
    assert (await box.stat_file("x")).kind == "other"
    await put(box, "x", b"replaced")


async def test_a_race_of_renames_never_leads_out(box):
    # The program swaps a directory for a link to /etc as fast as it can; the host reads through that name.
    swap = """
import os
os.mkdir("real"); open("real/passwd", "w").write("inside"); os.symlink("/etc", "evil"); os.rename("real", "d")
while not os.path.exists("stop"):
    os.rename("d", "real"); os.rename("evil", "d"); os.rename("d", "evil"); os.rename("real", "d")
"""
    racing = asyncio.ensure_future(run(box, swap))
    await asyncio.sleep(0.1)
    read, refused = 0, 0
    for _ in range(200):
        try:
            assert await get(box, "d/passwd") == b"inside"
            read += 1
        except SandboxdError as error:
            assert error.code in {Code.FILE_NOT_FOUND, Code.FILE_PATH_INVALID}
            refused += 1
    await put(box, "stop", b"")
    assert (await racing)[0].outcome == "ok"
    assert read, "the race was never won by the honest name: this proved nothing"
    assert refused, "the race was never on: this proved nothing"


async def test_a_full_disk_refuses_an_upload_and_leaves_nothing(open_box):
    box = await open_box(disk_bytes=MIB)
    fd, _ = await box.open_file("f", "w")
    with pytest.raises(OSError, match="No space left"):
        while True:
            os.write(fd, bytes(65536))
    os.close(fd)
    await box.commit_file("f", keep=False)
    assert (await run(box, "open('g', 'wb').write(bytes(900_000))"))[0].outcome == "ok"


async def test_used_up_inodes_refuse_an_upload(open_box):
    box = await open_box(files=64)
    await run(box, "for n in range(100): open(str(n), 'w').close()")
    assert await refusal(box.open_file("one-more", "w")) is Code.FILE_TOO_LARGE


async def test_a_long_listing_is_cut_and_says_so(open_box):
    box = await open_box(files=20_000, disk_bytes=64 * MIB)
    await run(box, "for n in range(10_050): open('f%d' % n, 'w').close()")
    found, more = await box.list_files(".")
    assert (len(found), more) == (10_000, True)


async def test_names_that_are_no_text_are_listed_and_harm_nothing(box):
    await run(
        box,
        "import os\nfor name in (b'\\xff\\xfe', b'a\\nb', b'\\x1b[31m', 'x\\u202ey'.encode()): os.close(os.open(name, os.O_CREAT))",
    )
    assert len(await names(box)) == 4


async def test_a_file_operation_does_not_outlive_its_box(open_box):
    # pid 1 stands still with the request before it, then dies: the caller must hear of it.
    others = set(jail_boxes.find("inmate", os.getpid()))
    box = await open_box()
    (inmate,) = set(jail_boxes.find("inmate", os.getpid())) - others
    pid1 = next(process.parent for process in jail_boxes.family() if process.pid == inmate)
    os.kill(pid1, signal.SIGSTOP)
    waiting = asyncio.ensure_future(box.stat_file("."))
    await asyncio.sleep(0.1)
    os.kill(pid1, signal.SIGKILL)
    done, _ = await asyncio.wait([waiting], timeout=3)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert done, "the request hangs for ever"
    assert isinstance(waiting.exception(), SandboxdError)


async def test_a_closed_box_refuses_files(open_box):
    box = await open_box()
    await box.close()
    assert await refusal(box.stat_file(".")) is Code.SESSION_LOST
