"""The front's end of one guest: frames on the control socket, bytes on two pipes. All of it hostile until parsed.

Nothing is unpickled or evaluated; every read is bounded; a frame that breaks the form ends the guest, not the daemon.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandboxd.events import Display, FinalAnswer, ProgramError
from sandboxd.executors.base import GuestCall, ToolAnswer
from sandboxd.executors.control import READ_BYTES, Control

MAX_DISPLAY_BYTES = 16 << 20  # an execution; the guest keeps to less by itself
MAX_DISPLAYS = 1000  # an execution
MAX_TEXT = 1 << 20
MAX_TOOL_NAME = 65  # one more than a tool's name may have: what is longer is none's
MAX_CALLS_OUT = 64  # an execution; a guest that has more in the air is not read until one is answered
MAX_CALLS_CHARACTERS = 8 << 20  # of arguments; likewise
# At the end of an execution what is already in the pipes belongs to it; a child that goes on writing must not hold us.
DRAIN_ROUNDS = 32
MAX_HELD_PIECES = 16
# Between two reads of a pipe whose output is over its limit: a flood costs the loop, which serves all, next to nothing.
FLOOD_PAUSE_SECONDS = 0.005
# Between two reads that follow each other soon: a program that prints in a loop costs one read a millisecond, and a stream
# gets 64 MB/s, which is more than a client takes. All that print so much together get 256 MB/s, so that the loop, and the
# CPUs, stay free for who prints little. A program may wait for this process then, never for its client. One large print is
# taken as fast as it comes: the ring holds it for its reader.
BURST_BYTES = 2 << 20
SOON_SECONDS, PAUSE_SECONDS = 0.002, 0.001
MUCH_BYTES = READ_BYTES // 2
FULL_SHARE_SECONDS = 0.00025
_full_pipes: set[int] = set()  # descriptors of this process, all of one loop


@dataclass(frozen=True, slots=True)
class Claim:
    """What a guest says of a finished cell."""

    ok: bool
    text: str | None
    error: ProgramError | None
    final: FinalAnswer | None
    wrote: bool = False  # it may have changed files: a hint to look


class GuestLink:
    """One guest's three descriptors on the event loop.

    Args:
        fds: control socket, stdout pipe, stderr pipe; owned from here on.
        on_violation: called when the guest breaks the protocol.
    """

    def __init__(self, fds: list[int], on_violation: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._control = Control(fds[0], self._on_frame, on_violation)
        self._pipes = {"stdout": fds[1], "stderr": fds[2]}
        for fd in self._pipes.values():
            os.set_blocking(fd, False)
        self._running: str | None = None
        self._displays_left = self._display_left = self._display_dropped = 0
        self._on_output: Callable[[str, bytes], None] = lambda *_: None
        self._on_display: Callable[[Display], None] = lambda _: None
        self._on_call: Callable[[GuestCall], None] = lambda _: None
        self._on_drop: Callable[[int], None] = lambda _: None
        self._calls_out: dict[int, int] = {}  # numbers, and the size of their arguments
        self._calls_dropped: set[int] = set()
        self._finished: asyncio.Future[Claim | None] | None = None
        self._held: list[tuple[str, bytes]] = []  # printed between cells; belongs to the next one
        self._flooded = False
        self._listened_at = dict.fromkeys(self._pipes, 0.0)
        self._burst = dict.fromkeys(self._pipes, 0)  # read since the program last paused
        for stream in self._pipes:
            self._listen(stream)
        self.rest()

    def run(
        self,
        execution_id: str,
        code: str,
        program: bytes = b"",
        tools: str = "",
        *,
        name: str,
        on_output: Callable[[str, bytes], None],
        on_display: Callable[[Display], None],
        on_call: Callable[[GuestCall], None] = lambda _: None,
        on_drop: Callable[[int], None] = lambda _: None,
    ) -> asyncio.Future[Claim | None]:
        """Send a cell that tracebacks call `name`; the future yields the guest's claim, None after `abandon`.

        With a program the guest runs that, and has the code for tracebacks alone. `tools` is the JSON of what it may call;
        a call that the guest gave up (`on_drop`) wants no answer.
        """
        self._running = execution_id
        self._on_output, self._on_display = on_output, on_display
        self._on_call, self._on_drop = on_call, on_drop
        self._displays_left, self._display_left = MAX_DISPLAYS, MAX_DISPLAY_BYTES
        self._finished = self._loop.create_future()
        self._give_held()
        frame = {"op": "run", "id": execution_id, "code": code, "filename": f"<{name}>"}
        if program:
            frame["program"] = base64.b64encode(program).decode("ascii")
        if tools:
            frame["tools"] = tools
        self._control.send(json.dumps(frame).encode())
        return self._finished

    def answer(self, answer: ToolAnswer) -> None:
        """Give the guest the answer to a call of the running cell; of any other call it hears nothing."""
        if answer.number not in self._calls_out:
            return
        del self._calls_out[answer.number]
        if answer.number in self._calls_dropped:
            self._calls_dropped.discard(answer.number)
        else:
            self._control.send(json.dumps(_answer(answer), ensure_ascii=False).encode("utf-8", "replace"))
        if not self._calls_much:
            self._control.release()

    def order(self, body: bytes) -> None:
        """Send a frame that no cell belongs to, between cells."""
        self._control.send(body)

    # ---- hearing --------------------------------------------------------------------------------------------

    def slow_down(self) -> None:
        """Read what this cell still prints in slow steps: its limit is passed, and it is being ended."""
        self._flooded = True

    def _listen(self, stream: str) -> None:
        fd = self._pipes.get(stream)
        if fd is not None and len(self._held) < MAX_HELD_PIECES:
            self._loop.add_reader(fd, self._pipe_told, stream, fd)

    def _pipe_told(self, stream: str, fd: int) -> None:
        """Read a pipe: at once what comes alone, and then for a moment no more, so that much comes in large pieces."""
        size = self._pipe_readable(stream, fd)
        now = self._loop.time()
        soon = now - self._listened_at[stream] < SOON_SECONDS
        self._listened_at[stream] = now
        self._burst[stream] = self._burst[stream] + size if soon else size
        if size >= MUCH_BYTES:
            _full_pipes.add(fd)
            soon = soon and self._burst[stream] > BURST_BYTES
        else:
            _full_pipes.discard(fd)
        if size and (self._flooded or soon):
            pause = max(PAUSE_SECONDS, len(_full_pipes) * FULL_SHARE_SECONDS if size >= MUCH_BYTES else 0)
            self._pause(stream, fd, FLOOD_PAUSE_SECONDS if self._flooded else pause)

    def _pause(self, stream: str, fd: int, seconds: float) -> None:
        self._loop.remove_reader(fd)
        self._listened_at[stream] += seconds
        self._loop.call_later(seconds, self._listen, stream)

    def _pipe_readable(self, stream: str, fd: int) -> int:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return 0
        if not data:
            self._loop.remove_reader(fd)
            return 0
        self._on_output(stream, data)
        return len(data)

    def drain(self) -> None:
        """Read what is in the pipes now, within bounds."""
        for stream, fd in self._pipes.items():
            for _ in range(DRAIN_ROUNDS):
                if not self._pipe_readable(stream, fd):
                    break

    def _on_frame(self, frame: dict[str, Any]) -> None:
        if self._running is None or self._finished is None or frame.get("id") != self._running:
            return  # "ready", or an echo of an execution that is over
        if frame["op"] == "display":
            self._take_display(frame)
        elif frame["op"] == "call":
            self._take_call(frame)
        elif frame["op"] == "drop":
            number = _number(frame["call"])
            if number in self._calls_out and number not in self._calls_dropped:
                self._calls_dropped.add(number)  # and out, until the port has done with it
                self._on_drop(number)
        elif frame["op"] == "result" and not self._finished.done():
            self._finished.set_result(_claim(frame))

    def _take_call(self, frame: dict[str, Any]) -> None:
        call = GuestCall(
            _number(frame["call"]), _raw(frame["tool"])[:MAX_TOOL_NAME], _raw(frame["arguments"])
        )
        if call.number in self._calls_out:
            raise ValueError("a call's number is used twice")  # whose would the answer be?
        self._calls_out[call.number] = len(call.arguments_json)
        if self._calls_much:
            self._control.hold()
        self._on_call(call)

    @property
    def _calls_much(self) -> bool:
        return len(self._calls_out) >= MAX_CALLS_OUT or sum(self._calls_out.values()) > MAX_CALLS_CHARACTERS

    def _take_display(self, frame: dict[str, Any]) -> None:
        display = _display(frame)
        size = sum(len(mime) + len(value) for mime, value in display.data.items())
        if size > self._display_left or not self._displays_left:
            self._display_dropped += display.dropped_bytes + size
            return
        self._display_left -= size
        self._displays_left -= 1
        self._on_display(display)

    # ---- ending ---------------------------------------------------------------------------------------------

    def rest(self) -> None:
        """No cell runs: hold what background threads print for the next one, within a bound, then let them wait."""
        if self._display_dropped:
            told = f"[displays left out: {self._display_dropped:,} bytes are over the limit of a snippet]"
            self._on_display(Display({"text/plain": told}, dropped_bytes=self._display_dropped))
        self._running = None
        self._flooded = False
        self._display_dropped = 0
        self._on_display = lambda _: None
        self._on_call = lambda _: None
        self._on_drop = lambda _: None
        self._calls_out.clear()
        self._calls_dropped.clear()
        self._control.release()
        self._on_output = self._hold

    def _hold(self, stream: str, data: bytes) -> None:
        self._held.append((stream, data))
        if len(self._held) >= MAX_HELD_PIECES:
            for fd in self._pipes.values():
                self._loop.remove_reader(fd)

    def _give_held(self) -> None:
        full = len(self._held) >= MAX_HELD_PIECES
        held, self._held = self._held, []
        for stream, data in held:
            self._on_output(stream, data)
        if full:
            for stream in self._pipes:
                self._listen(stream)

    def abandon(self) -> None:
        """The guest is dead: end the wait."""
        if self._finished is not None and not self._finished.done():
            self._finished.set_result(None)

    def close(self) -> None:
        """Close the descriptors. Idempotent."""
        self.abandon()
        if not self._control.close():
            return
        pipes, self._pipes = (
            self._pipes,
            {},
        )  # the numbers may be the next guest's at once: nothing is read from them
        for fd in pipes.values():
            self._loop.remove_reader(fd)
            _full_pipes.discard(fd)
            os.close(fd)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    # Lone surrogates are legal in JSON and illegal on the wire.
    return value[:MAX_TEXT].encode("utf-8", "replace").decode("utf-8")


def _claim(frame: dict[str, Any]) -> Claim:
    error, final = frame.get("error"), frame.get("final")
    return Claim(
        ok=frame["ok"] is True,
        text=None if frame.get("text") is None else _text(frame["text"]),
        error=None if error is None else _error(error),
        final=None if final is None else FinalAnswer(_text(final["json"]), _text(final["text"])),
        wrote=frame.get("wrote") is True,
    )


def _number(value: Any) -> int:
    if type(value) is not int or not 0 < value < 2**53:
        raise TypeError("not a call's number")
    return value


def _answer(answer: ToolAnswer) -> dict[str, Any]:
    frame = {"op": "answer", "call": answer.number, "ok": answer.ok}
    if answer.ok:
        return {**frame, "value": answer.value_json}
    error = {"code": answer.error_code, "name": answer.error_name, "message": answer.error_message}
    return {**frame, "error": error}


def _error(raw: dict[str, Any]) -> ProgramError:
    line = raw.get("line")
    safe_line = line if isinstance(line, int) and 0 <= line < 2**31 else 0
    return ProgramError(_text(raw["name"])[:128], _text(raw["message"]), _text(raw["traceback"]), safe_line)


def _display(frame: dict[str, Any]) -> Display:
    encoded = set(frame.get("base64", ()))
    data: dict[str, str | bytes] = {}
    for mime, value in list(frame["data"].items())[:32]:
        key = _text(mime)[:128]
        data[key] = base64.b64decode(_raw(value), validate=True) if mime in encoded else _raw(value)
    dropped = frame.get("dropped", 0)
    return Display(
        data,
        frame.get("is_result") is True,
        dropped if isinstance(dropped, int) and 0 <= dropped < 2**63 else 0,
    )


def _raw(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value.encode("utf-8", "replace").decode("utf-8")
