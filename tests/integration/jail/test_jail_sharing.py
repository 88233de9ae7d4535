"""What two sandboxes of one zygote share and what each has for itself, and that `fresh` shares nothing.

SECURITY.md states it; each statement is asserted here from inside two boxes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import jail_boxes
import jail_environments
import pytest
import pytest_asyncio
from jail_boxes import LIMITS, MIB, answer, eventually, find, run

from sandboxd.errors import Code, SandboxdError
from sandboxd.executors.base import BoxSpec
from sandboxd.executors.process import ProcessBox, ProcessExecutor, ProcessSettings

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

OWN = ("own_address_layout", "own_hash_seed")
LOOK = """
import ctypes, json, os, random, secrets, ssl, tempfile, uuid
libc = ctypes.CDLL(None)
libc.getauxval.restype = ctypes.c_void_p
found = {
    "library address": id(len),
    "heap address": id(json),
    "hash seed": hash("any text"),
    "canary": ctypes.string_at(libc.getauxval(25), 16).hex(),  # AT_RANDOM: canary and pointer guard come from it
    "random": random.random(),
    "secrets": secrets.token_hex(),
    "uuid1": str(uuid.uuid1()),
    "uuid4": str(uuid.uuid4()),
    "tempfile": next(tempfile._get_candidate_names()),
    "ssl": ssl.RAND_bytes(16).hex(),
}
"""
NUMPY = """
import numpy, early
found |= {
    "numpy": numpy.random.random(),
    "numpy, a new generator": numpy.random.default_rng().random(),
    "numpy, a generator of a preloaded library": early.drawn.random(),
    "numpy, what that one spawns": early.drawn.spawn(1)[0].random(),
    "numpy, a generator with a seed that was chosen": early.chosen.random(),
    "a preloaded library's own random.Random": early.plain.random(),
}
"""
PRINT = "print(json.dumps(found))"
SHARED = {
    "library address",
    "heap address",
    "hash seed",
    "canary",
    "numpy, a generator with a seed that was chosen",
    "a preloaded library's own random.Random",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def executor() -> AsyncIterator[ProcessExecutor]:
    with jail_environments.environments(numpy=True) as root:
        executor = ProcessExecutor(ProcessSettings(environments_dir=root, pool_fresh=0))
        await executor.start()
        yield executor
        await executor.close()


@pytest_asyncio.fixture(loop_scope="module")
async def open_it(executor) -> AsyncIterator[object]:
    opened: list[ProcessBox] = []

    async def open_it(environment: str = "base", **more: object) -> ProcessBox:
        opened.append(await executor.open(BoxSpec("s-test", environment, LIMITS, **more)))
        return opened[-1]

    yield open_it
    for box in opened:
        await box.close()


def rows(box: ProcessBox) -> dict[str, bool]:
    return {row.name: row.active for row in box.protections}


async def test_boxes_of_one_zygote_share_layout_hash_seed_and_canary_and_no_randomness(open_it):
    one, two = [await answer(await open_it("numbers"), LOOK + NUMPY + PRINT) for _ in range(2)]
    assert {name for name in one if one[name] == two[name]} == SHARED


async def test_the_next_interpreter_of_a_box_shares_no_randomness_with_the_last(open_it):
    box = await open_it("numbers")
    one = await answer(box, LOOK + NUMPY + PRINT)
    await run(box, "import os; os._exit(0)")
    two = await answer(box, LOOK + NUMPY + PRINT)
    assert {name for name in one if one[name] == two[name]} == SHARED


async def test_fresh_boxes_share_nothing_with_anybody(open_it):
    boxes = [await open_it(fresh=fresh) for fresh in (True, True, False)]
    one, two, forked = [await answer(box, LOOK + PRINT) for box in boxes]
    for a, b in ((one, two), (one, forked), (two, forked)):
        assert not {name for name in a if a[name] == b[name]}
    assert all(rows(box)[name] for box in boxes[:2] for name in OWN)
    assert not any(rows(boxes[2])[name] for name in OWN)


async def test_a_fresh_box_has_every_other_protection_too(open_it):
    fresh, forked = await open_it(fresh=True), await open_it()
    differ = {row.name for row in fresh.protections if rows(forked)[row.name] != row.active}
    assert differ == set(OWN)
    status = "import json; print(json.dumps([l for l in open('/proc/self/status') if l[:3] in ('Cap', 'NoN', 'Sec', 'NSp', 'Uid')]))"
    assert await answer(fresh, status) == await answer(forked, status)
    mounts = "import json; print(json.dumps([l.split()[4:6] for l in open('/proc/self/mountinfo')]))"
    assert await answer(fresh, mounts) == await answer(forked, mounts)


async def test_a_fresh_box_keeps_its_layout_and_seed_when_its_interpreter_is_replaced(open_it):
    box = await open_it(fresh=True)
    one = await answer(box, LOOK + PRINT)
    await run(box, "import os; os._exit(0)")
    two = await answer(box, LOOK + PRINT)
    assert {name for name in one if one[name] == two[name]} == {
        "library address",
        "heap address",
        "hash seed",
        "canary",
    }


async def test_nothing_is_left_of_what_a_fresh_box_was_forked_from(open_it):
    before = find("zygote")
    await open_it(fresh=True)
    assert await eventually(lambda: find("zygote") == before)


async def test_an_open_that_is_given_up_leaves_no_process(executor, open_it):
    await open_it()

    def ours() -> list[list[int]]:
        return [find("zygote"), find("inmate")]

    before = ours()
    opening = asyncio.ensure_future(executor.open(BoxSpec("s-test", "numbers", LIMITS, fresh=True)))
    await asyncio.sleep(0.05)
    opening.cancel()  # the launcher finishes it, and the front closes what nobody has
    await asyncio.wait({opening})
    assert await eventually(lambda: len(find("zygote")) > len(before[0])), (
        "it never began: this proved nothing"
    )
    assert await eventually(lambda: ours() == before)


@pytest.mark.parametrize("name", OWN)
async def test_a_policy_that_requires_its_own_is_refused_where_it_is_shared(open_it, name):
    with pytest.raises(SandboxdError) as raised:
        await open_it(require=(name,))
    assert raised.value.code is Code.PROTECTION_MISSING
    assert "isolate.fresh" in raised.value.remedy
    assert rows(await open_it(require=(name,), fresh=True))[name]


# ---- what a program leaves behind ---------------------------------------------------------------------------------

# name: (what a program does, what shows it)
TRACES = {
    "modules": ("sys.modules['planted'] = sys; import fractions", "sorted(sys.modules.keys() & {'planted', 'fractions'})"),
    "a patched module": ("json.planted = math.planted = 1", "[hasattr(json, 'planted'), hasattr(math, 'planted')]"),
    "built-ins": ("builtins.planted = 1", "hasattr(builtins, 'planted')"),
    "import path": ("sys.path.insert(0, '/work/x'); sys.meta_path.append(None)", "[sys.path, len(sys.meta_path)]"),
    "atexit": ("atexit.register(print)", "atexit._ncallbacks()"),
    "fork hooks": ("os.register_at_fork(after_in_child=lambda: os.environ.update(planted='1'))", "after_fork()"),
    "audit hooks": ("sys.addaudithook(lambda name, _: events.append(1) if name == 'planted' else None)", "audited()"),
    "excepthook": ("sys.excepthook = print", "sys.excepthook is sys.__excepthook__"),
    "tracing": ("threading.settrace(print)", "threading.gettrace() is None"),
    "directory": ("os.chdir('/tmp')", "os.getcwd()"),
    "environment": ("os.environ['PLANTED'] = '1'; libc.setenv(b'LOW', b'1', 1)", "[sorted(os.environ), libc.getenv(b'LOW')]"),
    "umask": ("os.umask(0o77)", "oct(umask())"),
    "signal mask": ("signal.pthread_sigmask(signal.SIG_BLOCK, {10})", "sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ()))"),
    "signal handlers": ("signal.signal(12, signal.SIG_IGN)", "[repr(signal.getsignal(n)).split(' at 0x')[0] for n in range(1, 65)]"),
    "timers": ("signal.setitimer(signal.ITIMER_REAL, 1000)", "signal.getitimer(signal.ITIMER_REAL)[0] > 0"),
    "limits": ("resource.setrlimit(resource.RLIMIT_NOFILE, (99, 99))", "resource.getrlimit(resource.RLIMIT_NOFILE)"),
    "recursion limit": ("sys.setrecursionlimit(5000)", "sys.getrecursionlimit()"),
    "collector": ("gc.disable(); gc.set_threshold(9)", "[gc.isenabled(), gc.get_threshold()]"),
    "decimal": ("decimal.getcontext().prec = 5", "decimal.getcontext().prec"),
    "locale": ("locale.setlocale(locale.LC_CTYPE, 'C')", "locale.setlocale(locale.LC_CTYPE)"),
    "warnings": ("warnings.simplefilter('error')", "len(warnings.filters)"),
    "process name": ("open('/proc/self/comm').close(); libc.prctl(15, b'planted')", "open('/proc/self/comm').read()"),
    "descriptors": ("os.dup2(1, 50)", "sorted(os.listdir('/proc/self/fd'))"),
    "threads": ("threading.Thread(target=threading.Event().wait, daemon=True).start()", "len(os.listdir('/proc/self/task'))"),
    "children": ("subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)", "len([n for n in os.listdir('/proc') if n.isdigit()])"),
    "files": ("[open(d + '/planted', 'w').close() for d in scratch]", "[sorted(os.listdir(d)) for d in scratch]"),
}  # fmt: skip
PRELUDE = """
import atexit, builtins, ctypes, decimal, gc, json, locale, math, os, resource, signal, subprocess, sys, threading, warnings
libc, scratch, events = ctypes.CDLL(None), ("/work", "/tmp", "/dev/shm"), []
def umask():
    old = os.umask(0)
    os.umask(old)
    return old
def audited():
    sys.audit("planted")
    return len(events)
def after_fork():
    if (pid := os.fork()) == 0:
        os._exit(int("planted" in os.environ))
    return os.waitpid(pid, 0)[1]
"""
SHOW = "print(json.dumps({%s}))" % ", ".join(f"{name!r}: {look}" for name, (_, look) in TRACES.items())  # noqa: UP031
LEAVE = "\n".join(leave for leave, _ in TRACES.values())


async def test_what_one_program_leaves_is_not_there_for_the_next(executor, open_it):
    pristine = await answer(await open_it(), f"{PRELUDE}{SHOW}")
    assert await eventually(lambda: len(find("pid1")) >= 2)  # one waits that was forked before
    one = await open_it()
    result, _, stderr = await run(one, f"{PRELUDE}{LEAVE}")
    assert result.outcome == "ok", (result.error, stderr)
    left = await answer(one, SHOW)
    assert {name for name in TRACES if left[name] == pristine[name]} == set(), (
        "what leaves no trace proves nothing"
    )
    await one.close()
    for _ in range(3):  # those that waited meanwhile, and one forked since
        assert await answer(await open_it(), f"{PRELUDE}{SHOW}") == pristine
    assert {pool.environment for pool in await executor.pools()} >= {"base"}


async def test_a_replaced_interpreter_keeps_the_files_alone(open_it):
    box = await open_it()
    pristine = await answer(box, f"{PRELUDE}{SHOW}")
    await run(box, LEAVE)
    await run(box, "os._exit(0)")
    after = await answer(box, f"{PRELUDE}{SHOW}")
    assert {name for name in TRACES if after[name] != pristine[name]} == {"files"}


@pytest.mark.parametrize(
    "call", ["shmget", "semget", "msgget", "mq_open", "add_key", "request_key", "keyctl", "setpriority"]
)
async def test_no_kernel_object_can_be_made_that_outlives_a_program(open_it, call):
    # IPC namespaces are the boxes' own; keyrings are not namespaced; a priority would stay with the next interpreter.
    code = f"""{jail_boxes.CALL}
print(json.dumps(call({jail_boxes.number(call)}, 0, 4096, 0o1600, 0, -3)))"""
    assert await answer(await open_it(), code) == "EPERM"


async def test_an_environment_s_memory_is_not_its_box_s(open_it):
    # What is inherited counts neither against the limit nor as the program's: a small limit suffices for a large zygote.
    box = await open_it("numbers")
    assert (await run(box, f"kept = bytearray({64 * MIB}); len(kept)"))[0].text == str(64 * MIB)
    assert Path(f"/proc/{find('inmate')[-1]}").exists()
