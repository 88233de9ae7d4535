"""Output while the code runs: at once where it is little, in large pieces where it is much, in order always."""

from __future__ import annotations

import asyncio

import pytest
from sandboxd_client import AsyncSandbox, Sandbox
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, stdout

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]

WAIT = """
import os, sys, time
def wait(name):
    while not os.path.exists(name): time.sleep(0.005)
"""


async def test_a_line_arrives_before_the_program_goes_on(daemon):
    # The program waits for what its reader does once it has the line: were the line held back, neither would go on.
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as sandbox:
        await sandbox.run_code(WAIT)
        heard = asyncio.Queue()
        code = """
print('out'); wait('1')
print('err', file=sys.stderr); wait('2')
sys.stdout.write('no newline'); sys.stdout.flush(); wait('3')
os.write(1, b'raw'); wait('4')
display({'text/html': 'shown'}, raw=True); wait('5')
"""
        running = asyncio.create_task(
            sandbox.run_code(code, on_stdout=heard.put_nowait, on_stderr=heard.put_nowait, on_result=heard.put_nowait)
        )  # fmt: skip
        for number, expected in enumerate(["out\n", "err\n", "no newline", "raw", "shown"], 1):
            got = await asyncio.wait_for(heard.get(), 30)
            assert (got if isinstance(got, str) else got.html) == expected
            assert not running.done()
            await sandbox.files.write(str(number), "")
        assert (await running).ok


def test_the_synchronous_half_hears_while_the_code_runs(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as sandbox:
        sandbox.run_code(WAIT)
        done = sandbox.run_code(
            "print('go'); wait('f'); print('went')", on_stdout=lambda _: sandbox.files.write("f", "")
        )
        assert done.stdout == "go\nwent\n"


@pytest.mark.parametrize("line", [10, 100, 5000])
async def test_much_output_comes_in_large_pieces_whole_and_in_order(daemon, line):
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        count = 700_000 // line
        events = await stream.run(f"for n in range({count}): print(str(n).rjust({line - 1}, '.'))")
        assert events[-1].result.outcome == pb.OUTCOME_OK
        expected = b"".join(str(number).rjust(line - 1, ".").encode() + b"\n" for number in range(count))
        assert stdout(events) == expected
        sizes = [len(event.stdout.data) for event in events if event.HasField("stdout")]
        assert max(sizes) <= 64 << 10
        stream.cut()


async def test_a_reader_that_is_behind_gets_pieces_of_16_to_64_kib(daemon):
    async with connected(daemon.address) as wire:
        stream = await wire.open(policy="unscreened")
        execution_id = await stream.execute("for n in range(90_000): print(n)")
        while True:  # nothing is read meanwhile
            record = await wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id))
            if record.state == pb.EXECUTION_STATE_FINISHED:
                break
            await asyncio.sleep(0.05)
        events = await stream.until_last()
        assert stdout(events) == b"".join(b"%d\n" % number for number in range(90_000))
        sizes = [len(event.stdout.data) for event in events if event.HasField("stdout")]
        # What was on its way before the reader fell behind came in the pieces in which it was printed.
        late = sizes[len(sizes) // 2 : -1]
        assert not late or sum(late) / len(late) >= 12 << 10, sizes
        stream.cut()


async def test_the_two_streams_keep_their_own_order_and_meet_sensibly(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as sandbox:
        got = []
        done = await sandbox.run_code(
            "import sys, time\nfor n in range(20):\n    print(n)\n    time.sleep(0.01)\n    print(n, file=sys.stderr)\n"
            "    time.sleep(0.01)",
            on_stdout=lambda text: got.append(("out", text)), on_stderr=lambda text: got.append(("err", text)),
        )  # fmt: skip
        assert done.stdout == done.stderr == "".join(f"{number}\n" for number in range(20))
        # With time between them a line of one stream comes before the next of the other.
        lines = [(stream, line) for stream, text in got for line in text.split()]
        assert lines.index(("out", "19")) > lines.index(("err", "10"))
        assert lines.index(("err", "5")) < lines.index(("out", "15"))


async def test_children_and_threads_stream_too(daemon):
    async with AsyncSandbox(address=daemon.address, policy="unscreened") as sandbox:
        done = await sandbox.run_code(
            "import subprocess, sys, threading\n"
            "subprocess.run([sys.executable, '-c', 'print(\"child\")'])\n"
            "thread = threading.Thread(target=print, args=('thread',)); thread.start(); thread.join()\nprint('self')"
        )
        assert done.stdout.split() == ["child", "thread", "self"]


async def test_a_client_that_reads_a_byte_now_and_then_stops_nothing(daemon):
    async with (
        connected(daemon.address) as slow,
        AsyncSandbox(address=daemon.address, policy="unscreened") as other,
    ):
        stream = await slow.open(policy="unscreened")
        await stream.execute("for n in range(100_000): print('x' * 9)\nprint('end')")
        for _ in range(5):
            await stream.read()
            assert (await other.run_code("1 + 1")).text == "2"
        events = await stream.until_last()
        assert events[-1].result.outcome == pb.OUTCOME_OK
        stream.cut()
