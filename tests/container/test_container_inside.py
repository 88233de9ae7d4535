"""The hardening of a container, asserted from inside and as the engine tells it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from container_rooms import MIB, Room, Tier
from engine import OwnEngine

from sandboxd.broker.spec import MASKED
from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import BoxSpec

ASK = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    return 0 if libc.syscall(number, *arguments) >= 0 else ctypes.get_errno()
def attempt(f, *arguments):
    try:
        f(*arguments)
    except OSError as e:
        return e.errno
    return 0
"""


async def ask(room: Room, expression: str) -> str:
    await room.run(ASK)
    return await room.value(expression)


async def status_of(room: Room) -> dict[str, str]:
    text = await room.value("open('/proc/self/status').read()")
    lines = text[1:-1].encode().decode("unicode_escape").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


async def test_identity_capabilities_and_filters(tier: Tier, runtime: str) -> None:
    room = await tier.open()
    status = await status_of(room)
    assert {status[name] for name in ("CapEff", "CapPrm", "CapInh", "CapBnd")} == {"0" * 16}
    uids = set(status["Uid"].split())
    assert len(uids) == 1
    assert int(uids.pop()) >= 1 << 30
    assert status["Seccomp"] == "2"
    if runtime == "runc":
        assert status["NoNewPrivs"] == "1"
        assert status["CapAmb"] == "0" * 16
        assert int(status["Seccomp_filters"]) >= 2


async def test_two_containers_share_no_user_id(tier: Tier) -> None:
    first, second = await tier.open(), await tier.open()
    code = "__import__('os').getuid()"
    assert await first.value(code) != await second.value(code)


async def test_the_root_is_read_only_and_scratch_is_bounded(tier: Tier, runtime: str) -> None:
    room = await tier.open(disk_bytes=4 * MIB, files=64)
    places = "'/x', '/etc/x', '/opt/x', '/opt/sandboxd/x', '/proc/sys/kernel/hostname', '/dev/x'"
    errors = await ask(room, f"[attempt(open, p, 'w') for p in ({places})]")
    assert 0 not in json.loads(errors), errors
    full = await room.value(
        "attempt(lambda: [open(f'/work/f{n}', 'wb').write(bytes(1 << 20)) for n in range(9)])"
    )
    assert full == "28"  # ENOSPC
    await room.run("import glob\n[os.unlink(p) for p in glob.glob('/work/f*')]")
    for place in ("/work", "/tmp", "/dev/shm"):
        many = f"attempt(lambda: [open(f'{place}/i{{n}}', 'w').close() for n in range(3000)])"
        # gVisor's tmpfs of 2022 counts no inodes: they are in its own memory, which the container's limit bounds.
        assert await room.value(many) == ("28" if runtime == "runc" else "0"), place
    exec_there = "open('/tmp/x', 'w').write('#!/bin/true') and os.chmod('/tmp/x', 0o755)"
    await room.run("[os.unlink(p) for p in glob.glob('/tmp/i*')]")
    await room.run(exec_there)
    assert await room.value("attempt(os.execv, '/tmp/x', ['x'])") == "13"


async def test_of_the_host_s_proc_and_sys_nothing_shows(tier: Tier, runtime: str) -> None:
    """Under runc masks lie on it. gVisor lays no masks: what is there is its own kernel's, which knows no host."""
    room = await tier.open()
    await room.run(
        "import os\ndef tells(p):\n    try:\n        return bool(os.listdir(p) if os.path.isdir(p) else open(p, 'rb').read(64))\n    except OSError:\n        return False"
    )
    telling = json.loads((await room.value(f"[p for p in {MASKED!r} if tells(p)]")).replace("'", '"'))
    assert telling == ([] if runtime == "runc" else ["/sys/class", "/sys/devices"])
    if runtime == "runsc":
        inside = await room.value("[sorted(os.listdir('/sys/' + p)) for p in ('devices', 'devices/system')]")
        assert inside == "[['system'], ['cpu']]"
        devices = await room.value(
            "[n for c in os.listdir('/sys/class') for n in os.listdir('/sys/class/' + c)]"
        )
        assert devices in {"[]", "['lo']"}
    pids = "sorted(int(n) for n in os.listdir('/proc') if n.isdigit())"
    assert len(json.loads(await room.value(pids))) == 2, "init and the guest"


async def test_there_is_no_network_and_no_socket(tier: Tier) -> None:
    room = await tier.open()
    # Families: UNIX, INET, INET6, NETLINK, PACKET, ALG, VSOCK.
    errors = await ask(room, "[call(41, family, 1, 0) for family in (1, 2, 10, 16, 17, 38, 40)]")
    assert 0 not in json.loads(errors), errors
    assert await room.value("__import__('socket').socketpair() and 1") == "1"


async def test_system_calls_that_attack_kernels_are_refused(tier: Tier) -> None:
    room = await tier.open()
    calls = {
        "io_uring_setup": 425, "bpf": 321, "userfaultfd": 323, "perf_event_open": 298, "keyctl": 250, "add_key": 248,
        "unshare": 272, "setns": 308, "mount": 165, "pivot_root": 155, "ptrace": 101, "process_vm_readv": 310,
        "splice": 275, "tee": 276, "vmsplice": 278, "open_by_handle_at": 304, "init_module": 175, "kexec_load": 246,
        "fsopen": 430, "open_tree": 428, "memfd_create": 319, "memfd_secret": 447, "socket": 41, "personality": 135,
    }  # fmt: skip
    answers = json.loads(
        (await ask(room, f"{{n: call(c, 0, 0, 0, 0, 0) for n, c in {calls}.items()}}")).replace("'", '"')
    )
    assert {name: code for name, code in answers.items() if code not in {1, 38}} == {}
    namespaces = "[call(56, flag | 17, 0, 0, 0, 0) for flag in (0x10000000, 0x20000, 0x20000000, 0x40000000)]"
    assert 0 not in json.loads(await room.value(namespaces))


async def test_init_is_out_of_reach(tier: Tier, runtime: str) -> None:
    room = await tier.open()
    assert await ask(room, "attempt(open, '/proc/1/mem', 'rb+')") == "13"
    if runtime == "runc":  # gVisor's kernel of 2022 lists them for the same user
        assert (
            await room.value("attempt(os.listdir, '/proc/1/fd'), attempt(os.readlink, '/proc/1/cwd')")
            == "(13, 13)"
        )
    # gVisor's kernel of 2022 lets a process end its pid 1 with SIGKILL: its own session, and nothing else.
    names = "SIGKILL SIGSTOP SIGINT" if runtime == "runc" else "SIGINT"
    await room.run(f"import signal\nfor name in {names!r}.split(): os.kill(1, getattr(signal, name))")
    assert await room.value("1 + 1") == "2"


async def test_the_host_s_own_things_are_not_told(tier: Tier, runtime: str) -> None:
    room = await tier.open()
    paths = "('/proc/kcore', '/proc/keys', '/proc/timer_list', '/proc/kallsyms', '/proc/modules', '/proc/interrupts')"
    code = f"[len(open(p, 'rb').read(64)) if os.path.exists(p) and attempt(open, p) == 0 else 0 for p in {paths}]"
    assert set(json.loads(await ask(room, code))) == {0}
    if runtime == "runc":  # what gVisor has there is its own
        own = "[(d, os.listdir(d)) for d in glob.glob('/sys/*') + glob.glob('/sys/fs/*') if os.listdir(d)]"
        await room.run("import glob")
        assert await room.value(f"sorted(d for d, _ in {own})") == "['/sys/fs', '/sys/fs/cgroup']"
    assert await room.value("os.uname().nodename") == "'sandbox'"
    kernel = await room.value("os.uname().release")
    assert (kernel == "'4.4.0'") == (runtime == "runsc")


async def test_only_the_guest_is_mounted_and_no_directory_is_open(tier: Tier) -> None:
    room = await tier.open()
    code = "sorted({os.readlink(f'/proc/self/fd/{n}').partition(':')[0] for n in range(64) if attempt(os.fstat, n) == 0})"
    kinds = set(json.loads((await ask(room, code)).replace("'", '"')))
    assert kinds <= {"/dev/null", "/null", "pipe", "socket", "anon_inode"}, kinds
    assert (
        await room.value("sorted(os.listdir('/opt/sandboxd/sandboxd'))")
        == "['__init__.py', '__pycache__', 'guest', 'jail']"
    )


async def test_what_the_engine_tells_of_a_live_container(tier: Tier, engine: OwnEngine, runtime: str) -> None:
    """As docker-bench-security's section 5 does it."""
    await tier.open()
    (container,) = tier.containers
    found = engine.inspect(container)
    host, config = found["HostConfig"], found["Config"]
    assert host["Runtime"] == runtime
    assert host["Privileged"] is False
    assert (host["CapDrop"], host["CapAdd"]) == (["ALL"], None)
    assert "no-new-privileges" in host["SecurityOpt"]
    assert any(option.startswith("seccomp={") for option in host["SecurityOpt"])
    assert host["NetworkMode"] == "none"
    assert found["NetworkSettings"]["Ports"] in ({}, None)
    assert host["ReadonlyRootfs"] is True
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert host["NanoCpus"] > 0
    assert 0 < host["PidsLimit"] <= 5 * 32 + 64
    assert (host["PidMode"], host["UTSMode"], host["UsernsMode"]) == ("", "", "")
    assert host["IpcMode"] == "none"
    assert host["CgroupnsMode"] == "private"
    assert host["RestartPolicy"]["Name"] == "no"
    assert host["AutoRemove"] is True
    assert host["LogConfig"]["Type"] == "none"
    assert host["Binds"] in (None, [])
    assert host["Devices"] in (None, [])
    mounts = {(one["Type"], one["Destination"], one["RW"]) for one in found["Mounts"]}
    assert mounts == {("bind", "/opt/sandboxd", False)}
    assert set(host["Tmpfs"]) == {"/work", "/tmp", "/dev/shm"}
    assert all("nr_inodes=" in one and "noexec" in one and "size=" in one for one in host["Tmpfs"].values())
    assert config["User"].partition(":")[0] not in {"", "0", "root"}
    assert config["Healthcheck"] == {"Test": ["NONE"]}
    assert config["Cmd"] in (None, [])
    assert found["Image"].startswith("sha256:")


async def test_require_is_held_against_what_is_active(make_tier) -> None:
    tier = make_tier("runc")
    spec = BoxSpec("session-x", "base", tier.limits, require=("frozen_between_snippets",))
    with pytest.raises(SandboxdError) as refused:
        await tier.executor.open(spec)
    assert refused.value.code == Code.PROTECTION_MISSING
    box = await tier.executor.open(
        replace(spec, require=("capabilities", "seccomp", "cgroup_memory", "landlock"))
    )
    await box.close()
