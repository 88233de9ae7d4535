"""The filters as data: what is listed, and what the compiled program begins with."""

from __future__ import annotations

import platform
import struct

import pyseccomp
import pytest

from sandboxd.seccomp import build_filters, names

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
LD_WORD, JEQ, JGE, RET = 0x20, 0x15, 0x35, 0x06
OFFSET_NR, OFFSET_ARCH = 0, 4
KILL_PROCESS = 0x80000000
CONDITIONAL = {"clone", "clone3", "socketpair", "ioctl", "prctl", "fcntl", "prlimit64", "setrlimit"}

Instruction = tuple[int, int, int, int]


@pytest.fixture(scope="module")
def filters():
    return build_filters()


def decode(program: bytes) -> list[Instruction]:
    return list(struct.iter_unpack("=HBBI", program))


def knows(name: str) -> bool:
    architectures = (pyseccomp.Arch.X86_64, pyseccomp.Arch.AARCH64, pyseccomp.Arch.X86)
    return any(pyseccomp.resolve_syscall(arch, name) != -1 for arch in architectures)


def test_no_call_is_both_allowed_and_denied():
    assert set(names.ALLOWED).isdisjoint(names.DENIED)


def test_no_call_is_listed_twice():
    for listed in (names.ALLOWED, names.DENIED, names.SUPERVISOR_DENIED):
        assert len(listed) == len(set(listed))


def test_calls_with_a_condition_are_in_no_plain_list():
    assert CONDITIONAL.isdisjoint((*names.ALLOWED, *names.DENIED))


@pytest.mark.parametrize("listed", ["ALLOWED", "DENIED"])
def test_every_name_is_a_system_call_of_some_architecture(listed):
    # A misspelt name is skipped in silence: an allowed one breaks programs, a denied one answers ENOSYS.
    newer_than_this_libseccomp = {
        "fchmodat2",
        "set_mempolicy_home_node",
        "epoll_ctl_old",
        "epoll_wait_old",
        "umount",
    }
    unknown = {name for name in getattr(names, listed) if not knows(name)}
    assert unknown <= newer_than_this_libseccomp


def test_pid_1_keeps_no_call_that_only_building_needed():
    assert set(names.SUPERVISOR_DENIED) <= set(names.DENIED)
    assert {"move_mount", "umount2", "pivot_root", "unshare", "setns", "ptrace", "bpf"} <= set(
        names.SUPERVISOR_DENIED
    )
    # Check-out remounts with it; what takes it from pid 1 then is the lack of a capability (test_jail_inside.py).
    assert "mount" not in names.SUPERVISOR_DENIED
    # Its filter lies under the guest's, which still has these steps to go.
    assert {"setresuid", "capset", "seccomp", "landlock_restrict_self"}.isdisjoint(names.SUPERVISOR_DENIED)


def test_names_that_this_libseccomp_does_not_know_are_recorded(filters):
    native = pyseccomp.Arch.NATIVE
    wanted = {
        name for name in (*names.ALLOWED, *names.DENIED) if pyseccomp.resolve_syscall(native, name) == -1
    }
    assert set(filters["guest"].unknown) == wanted


def test_two_builds_give_the_same_bytes(filters):
    again = build_filters()
    assert {name: built.program for name, built in again.items()} == {
        n: built.program for n, built in filters.items()
    }


@pytest.mark.parametrize("name", ["guest", "supervisor"])
def test_the_architecture_is_checked_before_anything_else(filters, name):
    program = decode(filters[name].program)
    print(f"{name}: {filters[name].instructions} BPF instructions")  # noqa: T201  shown by pytest -rP
    first, second = program[0], program[1]
    assert (first[0], first[3]) == (LD_WORD, OFFSET_ARCH)
    assert (second[0], second[3]) == (JEQ, AUDIT_ARCH[platform.machine()])
    assert verdict(program, 1 + 1 + second[2]) == KILL_PROCESS


def verdict(program: list[Instruction], at: int) -> int:
    code, _, _, value = program[at]
    assert code == RET, program[at]
    return value


@pytest.mark.skipif(platform.machine() != "x86_64", reason="only x86-64 has a second table of calls")
@pytest.mark.parametrize("name", ["guest", "supervisor"])
def test_x32_numbers_are_refused_at_once(filters, name):
    program = decode(filters[name].program)
    assert (program[2][0], program[2][3]) == (LD_WORD, OFFSET_NR)
    assert any(code == JGE and value == 0x40000000 for code, _, _, value in program[3:5])


def test_instructions_are_few_enough_for_the_kernel(filters):
    assert 50 < filters["guest"].instructions < 4096
    assert len(filters["guest"].program) == 8 * filters["guest"].instructions
