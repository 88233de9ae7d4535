"""What a program may do to its control channel: any outcome that is typed, and no harm beyond its own session."""

from __future__ import annotations

import asyncio
import json

import jail_boxes
import pytest
from jail_boxes import MIB, run

from sandboxd.executors.base import Job

pytestmark = [pytest.mark.userns, pytest.mark.asyncio(loop_scope="module")]

FRAME = """
import json, os, socket, struct
control = socket.socket(fileno=os.dup(3))
def send(message):
    body = message if isinstance(message, bytes) else json.dumps(message).encode()
    control.sendall(struct.pack(">I", len(body)) + body)
"""
ABUSE = {
    "close": ("import os; os.close(3)", {"error"}),
    "close and stay": ("import os\nos.close(3)\nwhile True: pass", {"timeout_wall"}),
    "shut down": (FRAME + "control.shutdown(socket.SHUT_RDWR)", {"error", "crashed"}),
    "replace": ("import os\nos.dup2(os.open('/dev/zero', 0), 3)", {"error", "timeout_wall"}),
    "garbage": (FRAME + "control.sendall(os.urandom(100_000))", {"crashed"}),
    "endless garbage": (FRAME + "while True: control.sendall(b'\\xff' * 65536)", {"crashed"}),
    "a length of a gibibyte": (
        FRAME + "control.sendall(struct.pack('>I', 1 << 30) + b'x' * 1000)",
        {"crashed"},
    ),
    "half a frame": (
        FRAME + "control.sendall(struct.pack('>I', 1 << 20) + b'x')",
        {"timeout_wall", "crashed"},
    ),
    "no object": (FRAME + "send([1])", {"crashed"}),
    "deep nesting": (FRAME + "send(b'[' * 1_000_000)", {"crashed"}),
    "an endless integer": (FRAME + "send(b'9' * 1_000_000)", {"crashed"}),
    "wrong types": (
        FRAME + "send({'op': 'result', 'id': ID, 'ok': 1, 'error': [], 'final': 3})",
        {"crashed"},
    ),
    "display of a list": (FRAME + "send({'op': 'display', 'id': ID, 'data': []})", {"crashed"}),
    "display without data": (FRAME + "send({'op': 'display', 'id': ID})", {"crashed"}),
    "bad base64": (
        FRAME + "send({'op': 'display', 'id': ID, 'data': {'a/b': '!'}, 'base64': ['a/b']})",
        {"crashed"},
    ),
    "another's id": (FRAME + "send({'op': 'result', 'id': 'x-000001', 'ok': False})\n'mine'", {"ok"}),
    "unknown operation": (FRAME + "send({'op': 'shutdown', 'id': ID})\n'mine'", {"ok", "crashed"}),
    "eats what the host sends": (
        FRAME + "import threading\nthreading.Thread(target=control.recv, args=(9999,)).start()",
        {"ok"},
    ),
}


@pytest.mark.parametrize(("code", "outcomes"), ABUSE.values(), ids=ABUSE.keys())
async def test_abuse_of_the_control_channel_has_a_typed_outcome(box, open_box, code, outcomes):
    execution = jail_boxes.execution_id()
    async with asyncio.timeout(5):
        result = await box.execute(Job(execution, f"ID = {execution!r}\n{code}", 0.5), lambda _: None)
    assert result.outcome in outcomes, result
    following, _, _ = await run(box, "1 + 1", 1.0)  # the same session goes on, if without its variables
    assert following.outcome in {"ok", "timeout_wall", "error"}
    assert (await run(await open_box(), "1 + 1"))[0].text == "2"


async def test_a_forged_result_is_a_claim_and_harms_its_own_session_alone(box):
    execution = jail_boxes.execution_id()
    forged = {"op": "result", "id": execution, "ok": True, "text": "forged", "error": None, "final": None}
    code = f"{FRAME}\nsend({json.dumps(forged).replace('true', 'True').replace('null', 'None')})\nraise ValueError"
    result = await box.execute(Job(execution, code, 2.0), lambda _: None)
    assert (result.outcome, result.evidence.source, result.text) == ("ok", "guest", "forged")
    # The real result of that cell comes late, and belongs to no execution any more.
    assert (await run(box, "'next'"))[0].text == "'next'"


async def test_what_a_forged_result_leaves_running_does_not_outlive_the_next_deadline(box):
    execution = jail_boxes.execution_id()
    forged = {"op": "result", "id": execution, "ok": True, "text": None, "error": None, "final": None}
    code = f"{FRAME}\nsend({json.dumps(forged).replace('true', 'True').replace('null', 'None')})\nwhile True: pass"
    assert (await box.execute(Job(execution, code, 2.0), lambda _: None)).outcome == "ok"
    result, _, _ = await run(box, "1", 0.3)
    assert result.outcome in {"timeout_wall", "error", "ok"}
    assert (await run(box, "1 + 1", 1.0))[0].text == "2"


async def test_nothing_reaches_the_sink_after_the_result(box):
    # A thread forges displays for an execution that is over, and for the empty id that "no execution" might be.
    events: list[object] = []
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
import threading, time
def late():
    time.sleep(0.2)
    for name in ({execution!r}, "", None):
        send({{"op": "display", "id": name, "data": {{"text/plain": "late"}}}})
threading.Thread(target=late).start()
"""
    result = await box.execute(Job(execution, code, 2.0), events.append)
    assert result.outcome == "ok"
    await asyncio.sleep(0.5)
    assert events == []


async def test_displays_are_bounded_in_number_and_size(box):
    execution = jail_boxes.execution_id()
    empty = json.dumps({"op": "display", "id": execution, "data": {}})
    code = f"""{FRAME}
body = {empty!r}.encode()
many = (struct.pack(">I", len(body)) + body) * 1000
while True: control.sendall(many)
"""
    events: list[object] = []
    result = await box.execute(Job(execution, code, 1.0), events.append)
    assert result.outcome in {"timeout_wall", "crashed", "output_limit"}
    assert len(events) <= 10_000, (
        f"{len(events)} events from one execution: the daemon's memory is the guest's to fill"
    )


async def test_large_displays_do_not_fill_the_daemon(box):
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
message = {{"op": "display", "id": {execution!r}, "data": {{"text/plain": "x" * (4 << 20)}}}}
while True: send(message)
"""
    events: list[object] = []
    result = await box.execute(Job(execution, code, 1.0), events.append)
    assert result.outcome in {"timeout_wall", "crashed", "output_limit"}
    assert sum(len(v) for e in events for v in getattr(e, "data", {}).values()) <= 16 * MIB


async def test_names_of_mime_types_count_too(box):
    execution = jail_boxes.execution_id()
    code = f"""{FRAME}
message = {{"op": "display", "id": {execution!r}, "data": {{"%0128d" % n: "" for n in range(32)}}}}
while True: send(message)
"""
    events: list[object] = []
    await box.execute(Job(execution, code, 1.0), events.append)
    assert sum(len(name) for e in events for name in getattr(e, "data", {})) <= 16 * MIB
