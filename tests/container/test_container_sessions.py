"""What a session can rely on, in runc and in gVisor alike: the behaviour of the process tier."""

from __future__ import annotations

import asyncio
import contextlib
import os

import pytest
from container_rooms import MIB, Tier

from sandboxd.errors import Code, SandboxdError
from sandboxd.launcher import protocol


async def test_variables_stay_and_errors_are_results(tier: Tier) -> None:
    room = await tier.open()
    await room.run("x = 41")
    assert await room.value("x + 1") == "42"
    failed = await room.run("1 / 0")
    assert failed.outcome == "error"
    assert failed.error is not None
    assert failed.error.name == "ZeroDivisionError"
    assert await room.value("x") == "41"


async def test_output_comes_whole_and_before_its_result(tier: Tier) -> None:
    room = await tier.open()
    for size in (10, 70_000, 400_000):
        await room.run(f"import sys\nprint('y' * {size})\nprint('e' * {size}, file=sys.stderr)")
        assert room.output() == b"y" * size + b"\n"
        assert room.output("stderr") == b"e" * size + b"\n"


async def test_output_over_its_limit_ends_the_cell_and_stays_with_it(tier: Tier) -> None:
    room = await tier.open()
    cut = await room.run("for _ in range(10 ** 6): print('z' * 100)")
    assert cut.outcome == "output_limit"
    assert len(room.output()) <= MIB
    await room.run("print('next')")
    assert room.output() == b"next\n"


async def test_a_deadline_interrupts_and_keeps_the_variables(tier: Tier) -> None:
    room = await tier.open()
    await room.run("x = 1")
    result = await room.run("while True: pass", seconds=0.5)
    assert result.outcome == "timeout_wall"
    assert not result.variables_lost
    assert await room.value("x") == "1"


async def test_a_deadline_kills_what_no_interrupt_reaches_and_files_stay(tier: Tier) -> None:
    room = await tier.open()
    await room.run("open('kept', 'w').write('here')")
    result = await room.run("sum(range(10 ** 13))", seconds=0.5)
    assert (result.outcome, result.variables_lost) == ("timeout_wall", True)
    assert await room.value("open('kept').read()") == "'here'"


async def test_the_cpu_limit_is_one_of_its_own(tier: Tier) -> None:
    room = await tier.open(cpu_seconds=0.5)
    result = await room.run("while True: pass")
    assert result.outcome == "timeout_cpu"
    assert result.usage.cpu_seconds is not None
    assert result.usage.sources["cpu_seconds"] == "cgroup"


async def test_a_cell_can_be_cancelled(tier: Tier) -> None:
    room = await tier.open()
    running = asyncio.ensure_future(room.run("import time\ntime.sleep(60)"))
    await asyncio.sleep(0.3)
    room.box.cancel("client")
    assert (await running).outcome == "cancelled"
    assert await room.value("1 + 1") == "2"


async def test_a_killed_interpreter_is_replaced(tier: Tier) -> None:
    room = await tier.open()
    result = await room.run("import os\nos.kill(os.getpid(), 9)")
    assert (result.outcome, result.evidence.code) == ("killed", "SIGKILL")
    result = await room.run("import os\nos._exit(3)")
    assert (result.outcome, result.evidence.code) == ("error", "exit:3")
    assert await room.value("1 + 1") == "2"


async def test_running_out_of_memory_in_runc_costs_the_variables_alone(make_tier) -> None:
    room = await make_tier("runc").open()
    # Children do not share the guest's address space limit: the container's is what they meet.
    code = "import os\nfor _ in range(6):\n    if os.fork() == 0:\n        x = bytearray(100 << 20); os._exit(0)\nx = [bytearray(1 << 20) for _ in range(240)]"
    result = await room.run(code)
    assert "memory" in result.limits_hit or result.outcome == "oom", result
    assert await room.value("1 + 1") == "2"


async def test_running_out_of_memory_in_gvisor_costs_the_session_and_is_said_so(make_tier) -> None:
    room = await make_tier("runsc").open()
    lost: list[str] = []
    room.box.on_lost(lost.append)
    code = "import os\nfor _ in range(8):\n    if os.fork() == 0:\n        x = bytearray(100 << 20)\n        import time; time.sleep(30)\nimport time; time.sleep(30)"
    result = await room.run(code)
    assert result.outcome == "oom", result
    assert result.evidence.source in {"engine", "cgroup"}
    for _ in range(50):
        if lost:
            break
        await asyncio.sleep(0.1)
    assert lost
    with pytest.raises(SandboxdError) as refused:
        await room.run("1")
    assert refused.value.code == Code.SESSION_LOST


async def test_busy_children_below_the_limit_are_no_fork_bomb(tier: Tier) -> None:
    room = await tier.open()
    code = "import os\nchildren = []\nfor _ in range(12):\n    pid = os.fork()\n    if pid == 0:\n        sum(range(10 ** 6)); x = bytearray(4 << 20); os._exit(0)\n    children.append(pid)\nprint([os.waitpid(pid, 0)[1] for pid in children].count(0))"
    result = await room.run(code)
    assert (result.outcome, result.limits_hit, room.output()) == ("ok", (), b"12\n"), result


async def test_a_fork_bomb_in_gvisor_costs_the_session_and_is_said_so(make_tier) -> None:
    room = await make_tier("runsc").open(pids=8)  # more of them meet the memory limit first
    result = await room.run("import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60)")
    assert (result.outcome, result.evidence.code, result.limits_hit) == ("killed", "pids", ("pids",)), result


async def test_a_fork_bomb_in_runc_meets_the_limit_and_the_session_lives(make_tier) -> None:
    room = await make_tier("runc").open()
    code = "import os, time\nn = 0\ntry:\n    while n < 500:\n        if os.fork() == 0:\n            time.sleep(60)\n        n += 1\nexcept OSError as e:\n    print(type(e).__name__, n)"
    result = await room.run(code)
    assert result.outcome == "ok", result
    assert room.output().startswith(b"BlockingIOError"), room.output()
    assert "pids" in result.limits_hit
    await room.run("import os\nos.kill(os.getpid(), 9)")
    assert await room.value("1 + 1") == "2"


async def test_files_go_in_and_come_out(tier: Tier) -> None:
    room = await tier.open()
    content = os.urandom(3 * MIB)
    descriptor, _ = await room.box.open_file("a/b.bin", "w")
    await asyncio.to_thread(_write_all, descriptor, content)
    stat = await room.box.commit_file("a/b.bin", keep=True)
    assert stat is not None
    assert stat.size_bytes == len(content)
    assert await room.value("len(open('a/b.bin', 'rb').read())") == str(len(content))
    descriptor, stat = await room.box.open_file("a/b.bin", "r")
    assert await asyncio.to_thread(_read_all, descriptor) == content
    found, truncated = await room.box.list_files("a")
    assert ([one.path for one in found], truncated) == (["b.bin"], False)
    await room.box.remove_file("a/b.bin")
    with pytest.raises(SandboxdError) as missing:
        await room.box.stat_file("a/b.bin")
    assert missing.value.code == Code.FILE_NOT_FOUND


async def test_what_a_cell_made_is_told_and_files_can_be_renamed(tier: Tier) -> None:
    room = await tier.open()
    result = await room.run("open('made.txt', 'w').write('x')")
    assert [one.path for one in result.files] == ["made.txt"]
    await room.box.make_directory("d")
    assert (await room.box.rename_file("made.txt", "d/other.txt")).path == "d/other.txt"
    assert await room.value("open('d/other.txt').read()") == "'x'"
    descriptor, _ = await room.box.open_file("d/other.txt", "w")
    await asyncio.to_thread(_write_all, descriptor, b"again")
    await room.box.commit_file("d/other.txt", keep=True)
    assert await room.value("open('d/other.txt').read()") == "'again'"
    assert (await room.run("1")).files == ()


async def test_links_lead_nowhere(tier: Tier) -> None:
    room = await tier.open()
    await room.run("import os\nos.symlink('/etc/passwd', 'link')\nos.symlink('/', 'root')\nos.mkfifo('fifo')")
    for path in ("link", "root/etc/passwd", "fifo"):
        with pytest.raises(SandboxdError) as refused:
            await room.box.open_file(path, "r")
        assert refused.value.code in {Code.FILE_PATH_INVALID, Code.FILE_NOT_FOUND, Code.FILE_NOT_REGULAR}


async def test_an_upload_that_does_not_fit_leaves_nothing(tier: Tier) -> None:
    room = await tier.open(disk_bytes=4 * MIB)
    descriptor, _ = await room.box.open_file("big", "w")
    with contextlib.suppress(BrokenPipeError):
        await asyncio.to_thread(_write_all, descriptor, bytes(8 * MIB))
    with pytest.raises(SandboxdError) as refused:
        await room.box.commit_file("big", keep=True)
    assert refused.value.code == Code.FILE_TOO_LARGE
    assert (await room.box.list_files("."))[0] == []


async def test_a_download_that_is_given_up_holds_nothing_up(tier: Tier) -> None:
    room = await tier.open()
    await room.run("open('big', 'wb').write(bytes(8 << 20))")
    for _ in range(3):
        descriptor, _ = await room.box.open_file("big", "r")
        os.close(descriptor)
    assert await room.value("1 + 1") == "2"


async def test_what_is_left_running_stands_still(tier: Tier) -> None:
    room = await tier.open()
    await room.run(
        "import threading, time\nn = 0\ndef count():\n    global n\n    while True:\n        n += 1; time.sleep(0.001)\nthreading.Thread(target=count, daemon=True).start()"
    )
    room.box.rest()
    await asyncio.sleep(0.3)
    before = int(await room.value("n"))
    room.box.rest()
    await asyncio.sleep(1.0)
    assert int(await room.value("n")) - before < 300


async def test_no_cell_is_lost_between_a_stop_and_a_wake(tier: Tier) -> None:
    """gVisor can lose a SIGCONT behind a SIGSTOP: see init's `_rest_or_wake`. The guest has threads and a child."""
    room = await tier.open()
    await room.run(
        "import os, threading, time\nfor _ in range(3):\n    threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\nif os.fork() == 0:\n    while True: time.sleep(0.001)"
    )
    for number in range(400):
        assert await room.value(str(number)) == str(number)
        await asyncio.sleep(number % 16 * 0.0004)  # across the moment at which the guest is stopped


async def test_abuse_of_the_control_channel_ends_the_guest_alone(tier: Tier) -> None:
    room = await tier.open()
    result = await room.run("import os, time\nos.write(3, b'\\xff' * 100)\ntime.sleep(30)")
    assert result.outcome == "crashed", result
    assert await room.value("1 + 1") == "2"


async def test_what_containers_do_not_have_yet_is_refused_by_name(make_tier) -> None:
    room = await make_tier("runc").open(forks=4)
    for ask in (
        room.box.fork(1),
        room.box.checkpoint("x"),
        room.box._link.ask(protocol.Count(1), protocol.Counted),
    ):
        with pytest.raises(SandboxdError) as refused:
            await ask
        assert refused.value.code == Code.FORK_REFUSED
        assert "process" in refused.value.remedy
    assert await room.value("1 + 1") == "2"


async def test_a_waiting_container_is_taken_and_replaced(make_tier, runtime: str) -> None:
    tier = make_tier(runtime, pool_size=1)
    first = await tier.open()
    assert not first.box.pooled
    for _ in range(300):
        if (await tier.executor.pools())[0].waiting:
            break
        await asyncio.sleep(0.1)
    second = await tier.open()
    assert second.box.pooled
    assert await second.value("1 + 1") == "2"
    (stats,) = await tier.executor.pools()
    assert (stats.hits, stats.misses) == (1, 1)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    finally:
        os.close(descriptor)


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()
