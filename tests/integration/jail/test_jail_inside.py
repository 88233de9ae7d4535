"""Each protection of the process tier, asserted by code that runs inside the box.

Where two controls stop the same thing, each has a probe that only it can answer: mounts and Landlock, seccomp and the
namespaces.
"""

from __future__ import annotations

import os
import resource
import signal
import typing
from pathlib import Path
from typing import Any

import jail_boxes
import pytest
from jail_boxes import ATTEMPT, CALL, MIB, answer, need, number, run

from sandboxd.jail import supervisor
from sandboxd.policy.schema import ProtectionName

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

# ---- identity -----------------------------------------------------------------------------------------------------


async def test_holds_no_capability_and_can_gain_none(box):
    status = await answer(
        box,
        "import json; print(json.dumps(dict(l.split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)))",
    )
    assert {
        status[name].strip().strip("0") for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
    } == {""}
    assert status["NoNewPrivs"].strip() == "1"
    assert status["Seccomp"].strip() == "2"
    assert status["Uid"].split() == status["Gid"].split() == ["1000"] * 4


async def test_is_nobody_of_the_host_when_the_launcher_is_root(box):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has only its own id to give")
    (inmate,) = jail_boxes.find("inmate")
    status = Path(f"/proc/{inmate}/status").read_text()
    ids = [line.split()[1:] for line in status.splitlines() if line.startswith(("Uid:", "Gid:"))]
    assert all(2_000_000_000 <= int(number) < 2_100_000_000 for row in ids for number in row), ids


async def test_two_boxes_share_no_host_id(open_box):
    if os.geteuid() != 0:
        pytest.skip("an ordinary user has only its own id to give")
    await open_box()
    await open_box()
    uids = {
        Path(f"/proc/{pid}/status").read_text().partition("Uid:")[2].split()[0]
        for pid in jail_boxes.find("inmate")
    }
    assert len(uids) == 2


async def test_sees_its_own_processes_only(box):
    code = """
import json, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "print(); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()  # in the midst of its exec it is hidden: not dumpable yet
seen = [int(name) for name in os.listdir("/proc") if name.isdigit()]
print(json.dumps([sorted(seen), os.getpid(), os.getppid(), child.pid]))
child.communicate()
"""
    seen, own, parent, child = await answer(box, code)
    assert seen == [own, child]
    assert parent == 1


@pytest.mark.parametrize(
    "call", ["setuid", "setgid", "setreuid", "setresuid", "setresgid", "setgroups", "capset"]
)
async def test_changes_no_ids(box, call):
    assert await answer(box, f"{CALL}\nprint(json.dumps(call({number(call)}, 0, 0, 0)))") == "EPERM"


async def test_hostname_is_the_sandbox_s(box):
    assert await answer(box, "import json, os; print(json.dumps(os.uname().nodename))") == "sandbox"


async def test_is_not_dumpable(box):
    # /proc/self/mem ignores page protection: it would patch code and constants in place.
    code = f"""{ATTEMPT}
print(json.dumps([attempt(open, "/proc/self/mem", "r+b"), attempt(open, "/proc/self/environ")]))"""
    assert await answer(box, code) == ["EACCES", "EACCES"]


async def test_cannot_become_dumpable(box):
    code = f"""{CALL}
prctl = {number("prctl")}
print(json.dumps([call(prctl, 4, 1), call(prctl, 4 | 1 << 32, 1), libc.prctl(3)]))"""
    assert await answer(box, code) == ["ENOSYS", "ENOSYS", 0]


# ---- files --------------------------------------------------------------------------------------------------------


async def test_root_is_read_only_but_for_the_scratch_directories(box):
    code = f"""{ATTEMPT}
def make(path):
    os.close(os.open(path + "/planted", os.O_CREAT | os.O_WRONLY))
found = {{}}
for path, directories, _ in os.walk("/"):
    if path == "/proc":
        directories[:] = []
    found.setdefault(attempt(make, path), []).append(path)
print(json.dumps({{name: paths[:20] for name, paths in found.items()}}))"""
    found = await answer(box, code)
    assert sorted(found.pop("ok")) == ["/clones", "/dev/shm", "/tmp", "/work"]
    assert found.keys() <= {"EROFS", "EACCES", "ENOENT"}, found


@pytest.mark.parametrize(
    "action",
    ["open, os.__file__, 'r+b'", "os.unlink, os.__file__", "os.chmod, os.__file__, 0o777", "os.rename, os.__file__, '/work/x'",
     "os.mkdir, '/etc/x'", "os.symlink, 'x', '/usr/x'", "os.truncate, '/etc/passwd', 0", "os.utime, '/etc/passwd'"],
)  # fmt: skip
async def test_what_is_there_cannot_be_changed(box, action):
    assert await answer(box, f"{ATTEMPT}\nprint(json.dumps(attempt({action})))") in {
        "EROFS",
        "EACCES",
        "EPERM",
        "EXDEV",
    }


async def test_landlock_alone_refuses_a_write_that_mounts_and_modes_allow(box):
    # An exec'd child is dumpable and owns its /proc files, /proc is mounted writable: nothing but Landlock says no.
    need(box, "landlock")
    code = """
import subprocess, sys
child = "import os; print(os.stat('/proc/self/comm').st_uid); open('/proc/self/comm', 'w').write('x')"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True))
"""
    _, stdout, _ = await run(box, code)
    assert "stdout='1000\\n'" in stdout
    assert "Permission denied" in stdout


async def test_mounts_forbid_devices_setuid_and_writing(box):
    mounts = await answer(
        box, "import json; print(json.dumps(open('/proc/self/mountinfo').read().splitlines()))"
    )
    options = {line.split()[4]: set(line.split()[5].split(",")) for line in mounts}
    for place, flags in options.items():
        assert "nosuid" in flags, place
        assert "noexec" in flags if place.startswith("/dev") else "nodev" in flags, place
        assert "ro" in flags or place in {"/proc", "/work", "/clones", "/tmp"} or place.startswith("/dev/"), (
            place
        )


@pytest.mark.parametrize("directory", ["/work", "/tmp", "/dev/shm"])
async def test_scratch_files_are_never_executed(box, directory):
    code = f"""{ATTEMPT}
import mmap, subprocess, sys
path = "{directory}/program"
open(path, "w").write("#!/bin/true\\n" * 1000)
os.chmod(path, 0o755)
file = open(path, "rb")
mapped = attempt(lambda: mmap.mmap(file.fileno(), 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC))
print(json.dumps([mapped, attempt(os.execv, path, [path])]))"""
    assert await answer(box, code) == ["EPERM", "EACCES"]


async def test_no_file_of_the_host_is_there(box):
    secret = Path("/var/tmp/sandboxd-jail-test-secret")
    secret.write_text("secret")
    try:
        code = f"""
import json, os
paths = ["/etc/shadow", "/home", "/sys", "/var", "/run", "/boot", "/opt", "/srv", "/mnt", "/usr/sbin", "/bin", "/usr/bin/env",
         "/etc/machine-id", "/etc/ssh", "/usr/lib/systemd", "/lib/systemd", "/dev/kmsg", "/dev/mem", "/dev/vda", "/dev/tty",
         "/.scratch", "{secret}", {str(Path(__file__).parent)!r}, "{Path.home()}/.ssh", "{Path.home()}/.bashrc"]
print(json.dumps([path for path in paths if os.path.lexists(path)]))"""
        assert await answer(box, code) == []
    finally:
        secret.unlink()


async def test_above_the_interpreter_there_is_nothing_but_the_way_to_it(box):
    code = """
import json, os, sys
top, path = {}, os.path.dirname(os.path.realpath(sys.executable))
while path != "/":
    path = os.path.dirname(path)
    top[path] = os.listdir(path)
site = [e for e in os.walk(sys.prefix) if os.path.basename(e[0]) in ("site-packages", "dist-packages") and (e[1] or e[2])]
print(json.dumps([top, site, sorted(os.listdir("/etc"))]))
"""
    top, site, etc = await answer(box, code)
    top.pop("/usr", None)
    assert set(top.pop("/")) <= {
        "clones",
        "dev",
        "etc",
        "lib",
        "lib32",
        "lib64",
        "proc",
        "root",
        "tmp",
        "usr",
        "work",
        "home",
        "opt",
    }
    assert all(len(found) == 1 or set(found) <= {"bin", "lib"} for found in top.values()), top
    assert site == []
    assert etc == ["group", "hostname", "hosts", "ld.so.cache", "nsswitch.conf", "passwd", "resolv.conf"]


async def test_passwd_is_synthetic(box):
    code = "import json, pwd; print(json.dumps([entry.pw_name for entry in pwd.getpwall()]))"
    assert await answer(box, code) == ["root", "sandbox", "nobody"]


async def test_proc_shows_processes_alone(box):
    code = "import json, os; print(json.dumps(sorted(n for n in os.listdir('/proc') if not n.isdigit())))"
    assert await answer(box, code) == ["self", "thread-self"]
    code = f"""{ATTEMPT}
names = "kallsyms sys/kernel/hostname keys cpuinfo meminfo version sched_debug timer_list kcore modules net/dev 1/status"
print(json.dumps(sorted({{attempt(os.stat, "/proc/" + name) for name in names.split()}})))"""
    assert await answer(box, code) == ["ENOENT"]


async def test_dev_holds_five_devices(box):
    found = await answer(box, "import json, os; print(json.dumps(sorted(os.listdir('/dev'))))")
    assert found == sorted(
        ["null", "zero", "full", "random", "urandom", "shm", "fd", "stdin", "stdout", "stderr"]
    )


async def test_scratch_size_holds_for_all_three_directories_together(open_box):
    box = await open_box(disk_bytes=4 * MIB)
    code = f"""{ATTEMPT}
written = 0
def fill(path):
    global written
    with open(path, "wb", buffering=0) as file:
        while True:
            written += file.write(bytes(65536))
print(json.dumps([[attempt(fill, d + "/big") for d in ("/work", "/tmp", "/dev/shm")], written]))"""
    ends, written = await answer(box, code)
    assert set(ends) <= {"ENOSPC", "EFBIG"}
    assert 3 * MIB < written <= 4 * MIB


async def test_scratch_inodes_hold_for_all_three_directories_together(open_box):
    box = await open_box(files=64)
    code = f"""{ATTEMPT}
made = 0
def fill(directory):
    global made
    while True:
        os.mkdir(directory + "/%d" % made)
        made += 1
print(json.dumps([[attempt(fill, d) for d in ("/work", "/tmp", "/dev/shm")], made]))"""
    ends, made = await answer(box, code)
    assert ends == ["ENOSPC"] * 3
    assert 40 < made <= 64


# ---- what was inherited -------------------------------------------------------------------------------------------


async def test_holds_no_foreign_descriptor(box):
    # 0 is null, 1 and 2 are pipes, 3 is the control socket, 4 the nursery. Whatever is above must be one of these again.
    code = """
import json, os, stat
def kind(fd):
    info = os.fstat(fd)
    return [stat.S_IFMT(info.st_mode), info.st_dev, info.st_ino]
print(json.dumps({fd: kind(fd) for fd in range(4096) if os.path.lexists("/proc/self/fd/%d" % fd)}))
"""
    kinds = {int(fd): kind for fd, kind in (await answer(box, code)).items()}
    assert {0, 1, 2, 3, 4} <= kinds.keys()
    assert [kinds[fd][0] for fd in range(5)] == [0o020000, 0o010000, 0o010000, 0o140000, 0o140000]
    strangers = {
        fd: kind for fd, kind in kinds.items() if fd > 4 and kind not in [kinds[n] for n in range(5)]
    }
    # asyncio's own wake-up pair and epoll come with the first cell that awaits, not before.
    assert strangers == {}


async def test_a_program_it_starts_inherits_three_descriptors(box):
    code = """
import subprocess, sys
child = "import json, os; print(json.dumps(sorted(map(int, os.listdir('/proc/self/fd')))))"
print(subprocess.run([sys.executable, "-c", child], capture_output=True, text=True, close_fds=False).stdout)
"""
    assert await answer(box, code) == [0, 1, 2, 3]  # 3 is the listing's own


async def test_knows_nothing_of_the_host_s_environment(box):
    code = """
import json, os, ctypes, sys
print(json.dumps([dict(os.environ), sys.argv, open("/proc/self/cmdline").read()]))
"""
    environment, argv, command = await answer(box, code)
    assert "canary" not in repr([environment, argv, command])
    allowed = set(
        "LANG LC_ALL TZ PATH HOME TMPDIR PYTHONDONTWRITEBYTECODE PYTHON_DISABLE_REMOTE_DEBUG MPLBACKEND".split()
    )
    assert {n for n in environment if not n.endswith(("_NUM_THREADS", "_ARENA_MAX"))} <= allowed


async def test_limits_are_set_and_cannot_be_raised(open_box):
    box = await open_box(memory_bytes=300 * MIB, disk_bytes=8 * MIB, pids=9)
    code = """
import json, resource
names = "AS NPROC FSIZE NOFILE CORE STACK MEMLOCK MSGQUEUE NICE RTPRIO SIGPENDING".split()
limits = {name: resource.getrlimit(getattr(resource, "RLIMIT_" + name)) for name in names}
raised = []
for name, (soft, hard) in limits.items():
    try:
        resource.setrlimit(getattr(resource, "RLIMIT_" + name), (hard, hard + 1))
        raised.append(name)
    except (ValueError, OSError):
        pass
print(json.dumps([limits, raised]))
"""
    limits, raised = await answer(box, code)
    assert raised == []
    assert all(soft == hard for soft, hard in limits.values())
    values = {name: hard for name, (_, hard) in limits.items()}
    assert 300 * MIB <= values.pop("AS") < 400 * MIB
    assert 9 <= values.pop("NPROC") <= 11
    assert values.pop("NOFILE") <= 1024
    assert values.pop("CORE") <= 1
    assert values == {
        "FSIZE": 8 * MIB, "STACK": 8 * MIB, "MEMLOCK": 0, "MSGQUEUE": 0, "NICE": 0, "RTPRIO": 0, "SIGPENDING": 64,
    }  # fmt: skip


async def test_a_crash_leaves_no_core_and_calls_no_handler(box):
    """The limit is 1: where core_pattern is a pipe, the kernel heeds no other (fs/coredump.c), 0 included.

    The guest is not dumpable, but what it executes is. On this machine core_pattern may be a file, which shows half of it.
    """
    code = """
import json, os, resource, subprocess, sys
crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
ended = subprocess.run([sys.executable, "-c", crash], cwd="/work").returncode
print(json.dumps([resource.getrlimit(resource.RLIMIT_CORE), ended, [n for n in os.listdir("/work") if "core" in n]]))
"""
    limits, ended, cores = await answer(box, code)
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert limits == ([1, 1] if hard else [0, 0])
    assert (ended, cores) == (-signal.SIGSEGV, [])


async def test_the_limit_that_keeps_crash_handlers_away_cannot_be_lowered(box):
    """A soft limit of 0 would let a piped core_pattern's handler run on what a child of the program left in memory."""
    high = 1 << 32  # the kernel reads 32 bits of this argument, a filter 64
    core = resource.RLIMIT_CORE
    code = f"""{CALL}
import resource
new = (ctypes.c_uint64 * 2)(0, 1)
place = ctypes.addressof(new)
tries = [call({number("prlimit64")}, 0, which, place, 0, 0, 0) for which in ({core}, {core | high})]
tries += [call({number("setrlimit")}, which, place, 0, 0, 0, 0) for which in ({core}, {core | high})]
try:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
except (OSError, ValueError) as error:
    tries.append(type(error).__name__)
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
print(json.dumps([tries, resource.getrlimit(resource.RLIMIT_CORE), resource.getrlimit(resource.RLIMIT_NOFILE)]))
"""
    tries, cores, files = await answer(box, code)
    assert tries == ["ENOSYS"] * 4 + ["OSError"]
    assert cores == ([1, 1] if resource.getrlimit(core)[1] else [0, 0])
    assert files == [100, 100]


# ---- network ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", [1, 2, 10, 16, 17, 21, 31, 38, 40])
async def test_no_socket_of_any_family_can_be_made(box, family):
    code = f"""{CALL}
print(json.dumps([call({number("socket")}, {family} | high, kind, 0) for kind in (1, 2, 3) for high in (0, 1 << 32)]))"""
    assert set(await answer(box, code)) == {"EPERM"}


async def test_socket_pairs_are_unix_alone(box):
    code = f"""{CALL}
pair = ctypes.addressof((ctypes.c_int * 2)())
print(json.dumps([call({number("socketpair")}, family, 1, 0, pair) for family in (1, 2, 30, 1 | 1 << 32)]))"""
    assert await answer(box, code) == ["ok", "ENOSYS", "ENOSYS", "ENOSYS"]


async def test_the_network_namespace_is_its_own_and_empty(box):
    code = """
import json
print(json.dumps([[l.split()[0] for l in open("/proc/self/net/dev").readlines()[2:]], len(open("/proc/self/net/route").readlines())]))
"""
    interfaces, routes = await answer(box, code)
    assert interfaces == ["lo:"]
    assert routes <= 1
    if os.geteuid() == 0:
        (inmate,) = jail_boxes.find("inmate")
        for kind in ("net", "user", "mnt", "pid", "ipc", "uts", "cgroup"):
            assert os.stat(f"/proc/{inmate}/ns/{kind}").st_ino != os.stat(f"/proc/self/ns/{kind}").st_ino, (
                kind
            )


async def test_every_protection_is_reported_with_a_reason_where_it_is_off(box):
    rows: dict[str, Any] = {row.name: row for row in box.protections}
    must = set(
        "user_namespace mount_namespace pid_namespace network_namespace ipc_namespace uts_namespace read_only_root".split()
    )
    must |= set("no_nested_userns capabilities no_new_privs seccomp rlimits non_dumpable".split())
    assert {name for name, row in rows.items() if row.active} >= must
    assert all(row.detail for row in rows.values() if not row.active)
    assert set(rows) == set(typing.get_args(ProtectionName)), "a policy can require each of them"


async def test_pid_1_of_a_box_in_use_keeps_what_it_needs_to_end_it_and_no_more(box):
    (inmate,) = jail_boxes.find("inmate")
    pid1 = next(process.parent for process in jail_boxes.family() if process.pid == inmate)
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid1}/status").read_text().splitlines())
    for name in ("CapPrm", "CapEff"):
        assert int(status[name], 16) == supervisor.KEPT_CAPS, "none to mount, trace or administer with"
    assert int(status["CapInh"], 16) == int(status["CapAmb"], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
