"""Rich results through the real daemon: bytes arrive as bytes, nobody on the host opens them, and what is too much says so."""

from __future__ import annotations

import zlib

import pytest
from sandboxd_client import Sandbox

pytestmark = pytest.mark.userns

# What a renderer or decoder on the host would act on. It must come out as it went in.
HOSTILE = {
    "image/png": b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\xff\xff\xff\xff\xff\xff\xff\xff\x08\x06\x00\x00\x00" + zlib.compress(bytes(9999)),
    "image/jpeg": b"\xff\xd8\xff\xe0" + b"\xff" * 64,
    "image/gif": b"GIF89a" + b"\x00" * 8,
    "application/pdf": b"%PDF-1.7\n1 0 obj<</OpenAction<</S/JavaScript/JS(app.alert(1))>>>>",
    "text/html": "<script>alert(1)</script><img src=x onerror=alert(1)><iframe src=file:///etc/passwd>",
    "image/svg+xml": '<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"><!DOCTYPE x [<!ENTITY y SYSTEM "file:///etc/passwd">]>&y;</svg>',
    "application/javascript": "alert(1)",
    "text/markdown": "[x](javascript:alert(1)) ![](file:///etc/passwd)",
    "text/latex": "\\input{/etc/passwd}",
    "application/json": '{"__proto__": 1, "a": NaN}',
    "application/x-python-pickle": b"cos\nsystem\n(S'id'\ntR.",
}  # fmt: skip


@pytest.fixture
def sandbox(daemon):
    with Sandbox(address=daemon.address, policy="unscreened") as opened:
        yield opened


def test_hostile_forms_arrive_as_they_were_made(sandbox):
    done = sandbox.run_code(f"display({HOSTILE!r}, raw=True)")
    assert done.ok, done
    (shown,) = done.results
    assert {mime: shown.data[mime] for mime in HOSTILE} == HOSTILE
    assert set(shown.formats()) == {*HOSTILE, "text/plain"}
    assert (shown.png, shown.pdf) == (HOSTILE["image/png"], HOSTILE["application/pdf"])
    assert set(shown._repr_mimebundle_()) == {"text/plain", "text/html", "image/png", "image/jpeg"}


def test_types_that_lie_stay_what_they_are(sandbox):
    done = sandbox.run_code(
        "display({'image/png': '<svg/>', 'text/html': b'\\xff\\x00', 'a/b; charset=evil\\r\\nX: y': 'z', '../../etc': 'p'}, raw=True)"
    )
    (shown,) = done.results
    assert shown.png is None
    assert shown.data["text/html"] == b"\xff\x00"
    assert shown.data["../../etc"] == "p"


def test_several_displays_keep_their_order_among_each_other(sandbox):
    code = "for n in range(50):\n    print(n)\n    display({'text/html': str(n)}, raw=True)\n'last'"
    got = []
    done = sandbox.run_code(code, on_result=lambda result: got.append(result.html))
    assert got == [str(number) for number in range(50)]
    assert (done.text, done.stdout.split()) == ("'last'", [str(number) for number in range(50)])


@pytest.mark.parametrize("size", [3_100_000, 3_145_725, 5_000_000])
def test_an_item_that_is_too_large_is_named(sandbox, size):
    done = sandbox.run_code(f"display({{'text/plain': 'a picture', 'image/png': bytes({size})}}, raw=True)")
    (shown,) = done.results
    if size < 3_145_000:
        assert shown.png == bytes(size)
        return
    assert shown.png is None
    assert shown.text is not None
    assert shown.text.startswith("a picture\n[image/png left out: ")
    assert shown.dropped_bytes >= size


def test_too_much_in_all_says_how_much(sandbox):
    done = sandbox.run_code("for _ in range(20): display({'image/png': bytes(1_000_000)}, raw=True)")
    assert done.ok
    assert sum(len(shown.png or b"") for shown in done.results) < 16 << 20
    assert any("left out" in (shown.text or "") for shown in done.results)
    assert sum(shown.dropped_bytes for shown in done.results) > 0
    assert sandbox.run_code("display({'text/html': 'again'}, raw=True)").results[0].html == "again"


def test_a_repr_that_raises_or_hangs_or_ends_the_interpreter(sandbox):
    bad = "class Bad:\n    def __repr__(self):\n        {}\nBad()"
    raised = sandbox.run_code(bad.format("1 / 0"))
    assert (raised.outcome, raised.error.name) == ("error", "ZeroDivisionError")
    hung = sandbox.run_code(bad.format("while True: pass"), timeout=1)
    assert hung.outcome == "timeout_wall"
    ended = sandbox.run_code(bad.format("__import__('os')._exit(4)"))
    assert ended.outcome == "error"
    assert sandbox.run_code("6 * 7").text == "42"


def test_a_guest_that_writes_its_own_display_frames_is_bounded(sandbox):
    # Straight onto the control socket: no budget of the guest's own is in the way.
    code = """
import json, os, socket, struct
frame = lambda body: struct.pack('>I', len(body)) + body
for fd in range(3, 300):
    try: control = socket.socket(fileno=os.dup(fd))
    except OSError: continue
    if control.family == socket.AF_UNIX and control.type == socket.SOCK_STREAM: break
import sys
one = json.dumps({'op': 'display', 'id': CELL, 'data': {'image/png': 'A' * 4_000_000}, 'base64': ['image/png'], 'is_result': False, 'dropped': 0}).encode()
for _ in range(40): control.sendall(frame(one))
"""
    done = sandbox.run_code(code.replace("CELL", "'x'"), timeout=20)
    assert done.outcome in {"ok", "error", "crashed", "killed"}, done
    assert sum(len(shown.png or b"") for shown in done.results) <= 16 << 20


def test_rich_results_in_a_restricted_session(daemon):
    with Sandbox(address=daemon.address, policy="pure") as sandbox:
        done = sandbox.run_code(
            "class Shown:\n    def _repr_html_(self):\n        return '<b>bold</b>'\n"
            "    def __repr__(self):\n        return 'plain'\nShown()"
        )
        if done.outcome == "denied":
            pytest.fail(str(done.verdict))
        assert [shown.html for shown in done.results] == ["<b>bold</b>"], done
        shown = sandbox.run_code("display({'image/png': b'\\x89PNG', 'text/plain': 'p'}, raw=True)").results
        assert [(one.png, one.text) for one in shown] == [(b"\x89PNG", "p")]
        many = sandbox.run_code("for _ in range(30): display({'text/html': 'x' * 900_000}, raw=True)")
        assert any("left out" in (one.text or "") for one in many.results)
