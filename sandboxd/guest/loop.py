"""The guest's main loop: a run frame comes in, the cell runs, its result goes out."""

from __future__ import annotations

import base64
import builtins
import contextlib
import gc
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, Dict, Mapping, NoReturn, Optional

from sandboxd.guest import display, figures, hygiene
from sandboxd.guest.answer import Answer
from sandboxd.guest.calls import Calls
from sandboxd.guest.cell import Interpreter
from sandboxd.guest.coroutines import CellLoop
from sandboxd.guest.errors import Reporter
from sandboxd.guest.forking import Forks
from sandboxd.guest.frames import EXIT_FAILED, Channel
from sandboxd.guest.interrupts import Gate
from sandboxd.guest.settings import Settings
from sandboxd.guest.streams import Streams
from sandboxd.guest.tools import Tools, describe, show_help
from sandboxd.guest.writing import Writing

if TYPE_CHECKING:
    import socket

    from sandboxd.guest.forking import Cradle

_REHEARSAL, _REHEARSED = "(lambda: 1 + 1)()", "<rehearsal>"
_MIXED = "this session runs either plain text or what the restricting compiler made, never both"
_exit, _getpid, _decode = os._exit, os.getpid, base64.b64decode
_code_of_exit = SystemExit.__dict__["code"].__get__


def serve(control: socket.socket, raw: Mapping[str, Any], cradle: Optional[Cradle] = None) -> NoReturn:
    """Serve cells until the control socket closes; the process ends here."""
    try:
        settings = Settings.of(raw)
        gate = Gate()
        gate.install()  # before signals are unblocked: an early SIGINT is for no cell
        hygiene.cleanse(settings)
        session = Session(Channel(control, gate), gate, settings, cradle)
        # What this process is made of is no object of a program's: `gc.get_objects` leaves out what is frozen.
        gc.freeze()
        session.run()
    except BaseException as error:
        _complain(error)
    finally:
        _exit(EXIT_FAILED)


class Session:
    """One program's interpreter and all that belongs to it."""

    def __init__(
        self, channel: Channel, gate: Gate, settings: Settings, cradle: Optional[Cradle] = None
    ) -> None:
        self._channel, self._gate = channel, gate
        self._workdir = settings.workdir
        self._pid = _getpid()
        self._restricted: Optional[bool] = None  # the first cell decides, for the whole session
        self._streams = Streams(gate)
        self._writing = Writing()
        self._loop = CellLoop()
        self._interpreter = Interpreter(self._loop)
        self._displays = display.Displays(channel, settings)
        self._calls = Calls(channel, gate)
        self._tools = Tools(self._calls)
        self._answer = Answer(settings.repr_limit)
        self._reporter = Reporter(gate, self._interpreter.sources, settings)
        self._forks = Forks(cradle, self.become, self._interpreter.names)
        self._install()

    def run(self) -> NoReturn:
        """Say ready, then serve one cell a frame."""
        self._rehearse()
        self._channel.send({"op": "ready"})
        while True:
            request = self._channel.receive()
            if request.get("op") == "answer":  # to a call that was given up with its cell
                continue
            if request.get("op") == "fork":
                if self._forks.fork(request.get("number")):
                    self._channel.send({"op": "ready"})  # the clone, on a socket of its own
                continue
            try:
                message = self._serve(request)
            except BaseException as error:  # a cell broke the guest's own code: say so, once, and go on
                message = _failure(request, error)
            self._channel.send(message)

    def _rehearse(self) -> None:
        """Run a cell that leaves nothing, while nobody waits: a fork copies each page at the first touch of it."""
        self._serve({"op": "run", "id": "", "code": _REHEARSAL, "filename": _REHEARSED})
        self._interpreter.sources.forget(_REHEARSED)

    def _install(self) -> None:
        """Give programs their built-ins, and processes that they fork an end of their own."""
        answer = self._answer

        def final_answer(value: Any) -> Any:
            """Hand over the final answer of this task; the last call in a cell counts."""
            return answer.record(value)

        builtins.final_answer = final_answer  # type: ignore[attr-defined]
        builtins.help = show_help  # type: ignore[assignment]
        display.install(self._displays)
        os.register_at_fork(after_in_child=self._after_fork)

    def _after_fork(self) -> None:
        self._calls.abandon_in_child()
        if not self._forks.under_way:
            self._channel.close_in_child()

    def become(self, workdir: str) -> None:
        """Go on as another member's interpreter, in a process of its own: with its descriptors, pid and work directory."""
        self._pid = _getpid()
        self._channel.forget()
        self._streams.adopt()
        self._loop.remake()
        if workdir != self._workdir:
            hygiene.move(self._workdir, workdir)
            self._interpreter.move(workdir)
            self._reporter.move(workdir)
            self._workdir = workdir

    def _serve(self, request: Dict[str, Any]) -> Dict[str, Any]:
        if request.get("op") != "run":
            _exit(EXIT_FAILED)
        cell, code, filename = request["id"], request["code"], request["filename"]
        program = _decode(request.get("program", ""))
        if cell and not self._admits(program):
            return _result(cell, error=_told("RuntimeError", _MIXED))
        self._displays.begin(cell)
        self._writing.begin()
        self._answer.value = None
        self._offer(request.get("tools"))
        self._interpreter.prepare()
        self._calls.begin(cell)
        text, error = self._gate.call(self._attempt, code, filename, program)
        self._gate.tame()
        hygiene.between_cells()
        self._loop.settle()
        if _getpid() != self._pid:
            self._leave_child(error)
        error = self._end_displays(error)
        self._calls.end()
        if error is not None and _is_clean_exit(error):
            error = None
        described = None if error is None else self._reporter.describe(error, filename)
        self._streams.settle()
        wrote = self._writing.seen()
        return _result(cell, text=text, error=described, final=self._answer.value, wrote=wrote)

    def _admits(self, program: bytes) -> bool:
        """Tell whether this cell is of the session's kind. A restricted session never runs plain text, whoever asks."""
        if self._restricted is None:
            if program:
                self._interpreter.restrict(self._workdir)
                self._tools.restrict()
            self._restricted = bool(program)
        return self._restricted == bool(program)

    def _offer(self, text: Optional[str]) -> None:
        """Put the session's tools where this cell looks for them, whatever the last one did to them."""
        changed = self._tools.update(text)
        if self._restricted:
            if changed:
                self._interpreter.offer(
                    self._tools.functions, self._tools.errors, describe(self._tools.functions)
                )
        else:
            self._tools.install()

    def _attempt(self, code: str, filename: str, program: bytes) -> Optional[str]:
        """Run a cell and describe its value: all of it is the program's own code, under its own deadline."""
        finder: Any = sys.path_importer_cache.get(self._workdir)
        if finder is not None:  # a file uploaded within one clock tick of the last look would stay unseen
            finder.invalidate_caches()
        return self._displays.present(self._interpreter.run(code, filename, program))

    def _end_displays(self, error: Optional[BaseException]) -> Optional[BaseException]:
        """Show the figures that are left; gives the cell's error, or the one that this met."""
        if error is not None and issubclass(type(error), KeyboardInterrupt):
            with contextlib.suppress(Exception):  # a half-imported pyplot has nothing to show either
                figures.discard()
        else:
            _, trouble = self._gate.call(self._displays.show_figures)
            error = error or trouble
        self._displays.end()
        return error

    def _leave_child(self, error: Optional[BaseException]) -> NoReturn:
        """End a process that a cell forked and that ran to the cell's end: only the guest itself goes on."""
        status = 0
        if error is not None and not _is_clean_exit(error):
            code = _code_of_exit(error) if issubclass(type(error), SystemExit) else None
            status = code & 0xFF if type(code) is int else 1
            if code is None:
                self._gate.call(_print_error, error)
        self._streams.settle()
        _exit(status)


def _complain(error: BaseException) -> None:
    """Leave a trace of the guest's own failure, naming its place; its message may be a program's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "?"
    os.write(2, f"the guest failed: {type(error).__name__} at {place}\n".encode("ascii", "replace"))


def _is_clean_exit(error: BaseException) -> bool:
    """Tell `sys.exit()` and `sys.exit(0)`, which end the cell well, from other exits and exceptions."""
    if not issubclass(type(error), SystemExit):
        return False
    code = _code_of_exit(error)
    return code is None or (type(code) in (int, bool) and not code)


def _print_error(error: BaseException) -> None:
    traceback.print_exception(type(error), error, error.__traceback__)


def _failure(request: Dict[str, Any], error: BaseException) -> Dict[str, Any]:
    """Report that a cell left the guest unable to finish it in order."""
    message = "the cell broke the interpreter it ran in; later cells may fail too"
    return _result(request.get("id"), error=_told(type(error).__name__, message))


def _told(name: str, message: str) -> Dict[str, Any]:
    return {"name": name, "message": message, "traceback": f"{name}: {message}", "line": 0}


def _result(
    cell: Any,
    *,
    text: Optional[str] = None,
    error: Optional[Dict[str, Any]] = None,
    final: Any = None,
    wrote: bool = False,
) -> Dict[str, Any]:
    ok = error is None
    return {
        "op": "result",
        "id": cell,
        "ok": ok,
        "text": text if ok else None,
        "error": error,
        "final": final,
        "wrote": wrote,
    }
