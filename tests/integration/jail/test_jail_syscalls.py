"""What the kernel refuses to a box: system calls, namespaces, foreign call interfaces, and pid 1 as a victim.

Asserted by raw calls from inside. Where a namespace or a limit stands behind the filter it has a probe that no filter meets.
"""

from __future__ import annotations

import os
import platform
import subprocess

import jail_boxes
import pytest
from jail_boxes import ATTEMPT, CALL, answer, number, run

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

x86_64 = pytest.mark.skipif(platform.machine() != "x86_64", reason="a system call interface of x86-64")

# ---- system calls -------------------------------------------------------------------------------------------------

NOT_PERMITTED = """
    mount umount2 pivot_root chroot fsopen move_mount open_tree mount_setattr unshare setns ptrace process_vm_readv
    process_vm_writev pidfd_getfd kcmp perf_event_open bpf userfaultfd io_uring_setup io_uring_enter keyctl add_key
    request_key open_by_handle_at name_to_handle_at splice tee vmsplice memfd_secret kexec_load kexec_file_load init_module
    finit_module delete_module reboot swapon acct syslog clock_settime settimeofday adjtimex sethostname setdomainname
    personality fanotify_init mknod mknodat chown fchownat setxattr seccomp setpriority
    sched_setaffinity mlock mlockall shmget semget msgget mq_open socket connect bind quotactl iopl ioperm modify_ldt vhangup
""".split()


@pytest.mark.parametrize("name", NOT_PERMITTED)
async def test_is_not_permitted(box, name):
    assert await answer(box, f"{CALL}\nprint(json.dumps(call({number(name)}, 0, 0, 0, 0, 0, 0)))") == "EPERM"


# Every number there is, as a table: tests/security/test_syscalls.py.


async def test_namespaces_cannot_be_made(box):
    namespaces = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000]
    code = f"""{CALL}
arguments = (ctypes.c_uint64 * 11)(0x10000000)
print(json.dumps([
    sorted({{call({number("unshare")}, flag) for flag in {namespaces}}}),
    sorted({{call({number("clone")}, flag | 17, 0, 0, 0, 0) for flag in {namespaces}}}),
    call({number("clone3")}, ctypes.addressof(arguments), 88),
]))"""
    assert await answer(box, code) == [["EPERM"], ["ENOSYS"], "ENOSYS"]


async def test_nested_user_namespaces_are_off_without_the_filter_too(box):
    # Entered from outside, where no filter holds: only /proc/sys/user/max_user_namespaces = 0 can refuse.
    if os.geteuid() != 0:
        pytest.skip("the namespace of a process that is not dumpable is entered by root alone")
    (inmate,) = jail_boxes.find("inmate")
    command = ["nsenter", f"--user=/proc/{inmate}/ns/user", "unshare", "--user", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "No space left" in done.stderr


async def test_terminal_input_cannot_be_forged(box):
    # ENOTTY would mean that the kernel looked at the request: the filter let it through.
    code = f"""{CALL}
ioctl, byte = {number("ioctl")}, ctypes.addressof(ctypes.c_char(b"x"))
print(json.dumps([call(ioctl, 1, request | high, byte) for request in (0x5412, 0x541C) for high in (0, 1 << 32)]))"""
    assert await answer(box, code) == ["ENOSYS"] * 4


@x86_64
async def test_a_call_of_the_x32_interface_kills(box):
    result, _, _ = await run(box, f"{CALL}\ncall(0x40000000 + {number('getpid')})")
    assert (result.outcome, result.evidence.code) == ("crashed", "SIGSYS")


@x86_64
async def test_a_call_of_the_32_bit_interface_kills(box):
    code = """
import ctypes, mmap
page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
page.write(bytes.fromhex("b814000000cd80c3"))  # mov eax, 20 (getpid); int 0x80; ret
ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
"""
    result, _, _ = await run(box, code)
    assert (result.outcome, result.evidence.code) == ("crashed", "SIGSYS")


# ---- pid 1 --------------------------------------------------------------------------------------------------------

TOUCH_PID_1 = {
    "signals": "for n in range(1, 65):\n  attempt(os.kill, 1, n)",
    "limits": "import resource\nfor n in range(16):\n  refused(attempt(resource.prlimit, 1, n, (0, 0)))",
    "memory": "refused(attempt(open, '/proc/1/mem', 'rb'))",
    "affinity": "refused(attempt(os.sched_setaffinity, 1, {0}))",
    "priority": "refused(attempt(os.setpriority, os.PRIO_PROCESS, 1, 19))",
    "scheduler": "refused(attempt(os.sched_setscheduler, 1, os.SCHED_BATCH, os.sched_param(0)))",
    "group": "refused(attempt(os.setpgid, 1, 0))",
}


@pytest.mark.parametrize("how", TOUCH_PID_1)
async def test_pid_1_is_out_of_reach(box, how):
    lost: list[str] = []
    box.on_lost(lost.append)
    code = f"""{ATTEMPT}
kept, failures = 41, []
def refused(result):
    if result == "ok":
        failures.append(result)
{TOUCH_PID_1[how]}
print(json.dumps(failures))"""
    assert await answer(box, code) == []
    assert (await run(box, "kept + 1"))[0].text == "42"
    # pid 1 still does its work: it starts the next interpreter and serves files.
    await run(box, "import os; os._exit(0)")
    assert (await run(box, "1 + 1"))[0].text == "2"
    assert (await box.stat_file(".")).kind == "directory"
    assert lost == []
