"""A restricted session in a real guest process: programs in frames, one namespace, errors with the user's lines."""

from __future__ import annotations

import ast
import base64
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from sandboxd.restrict import compile_program
from tests.guest_harness import Cell, Guest

pytestmark = pytest.mark.skipif(sys.version_info < (3, 11), reason="RestrictedPython 9")


class RestrictedGuest(Guest):
    """Sends what the compiler made of a cell beside its text."""

    def begin(self, code: str) -> None:
        compiled = compile_program(code, ast.parse(code))
        assert not compiled.refusals, compiled.refusals
        self.begin_program(code, compiled.program)

    def begin_program(self, code: str, program: bytes) -> None:
        self._count += 1
        frame: dict[str, Any] = {
            "op": "run",
            "id": f"x{self._count}",
            "filename": f"<cell {self._count}>",
            "code": code,
        }
        self.send({**frame, "program": base64.b64encode(program).decode()})

    def run_plain(self, code: str) -> Cell:
        Guest.begin(self, code)
        return self.finish()


@pytest.fixture(scope="module")
def guest() -> Iterator[RestrictedGuest]:
    with RestrictedGuest() as running:
        yield running
        assert running.value("6 * 7") == "42", "a test left the shared guest unusable"


def test_variables_functions_and_classes_persist(guest: RestrictedGuest) -> None:
    guest.run(
        "class Acc:\n    def __init__(self): self._n = 0\n    def add(self): self._n += 1; return self._n\na = Acc()"
    )
    guest.run("def twice(): return a.add() + a.add()")
    assert guest.value("twice()") == "3"
    assert guest.value("a._n, __name__") == "(2, '__main__')"


def test_tracebacks_show_the_user_s_lines_and_columns(guest: RestrictedGuest) -> None:
    guest.run("def f(x):\n    y = x\n    return y._gone\nclass C: pass")
    cell = guest.run("1 + 1\nf(C())")
    assert cell.traceback.endswith("AttributeError: 'C' object has no attribute '_gone'")
    assert "line 2, in <module>\n    f(C())" in cell.traceback
    assert "line 3, in f\n    return y._gone\n           ^^^^^^^" in cell.traceback
    assert "guard" not in cell.traceback
    assert cell.error["line"] == 2


def test_a_refusal_at_run_time_names_the_line_and_no_frame_of_the_guards(guest: RestrictedGuest) -> None:
    cell = guest.run("x = ()\ngetattr(x, '__class__')")
    assert cell.error["name"] == "AttributeError"
    assert cell.error["line"] == 2
    assert cell.traceback.count("File") == 1


def test_display_hooks_of_own_classes_and_answers(guest: RestrictedGuest) -> None:
    cell = guest.run("class H:\n    def _repr_html_(self): return '<b>h</b>'\nH()")
    assert cell.displays[0]["data"]["text/html"] == "<b>h</b>"
    cell = guest.run("display(H())\nfinal_answer({'a': [1]})")
    assert cell.displays[0]["data"]["text/html"] == "<b>h</b>"
    assert cell.result["final"]["json"] == '{"a":[1]}'.replace(":", ": ")


def test_top_level_await_runs_in_the_session_s_loop(guest: RestrictedGuest) -> None:
    code = "import asyncio\nasync def f(n):\n    await asyncio.sleep(0)\n    return n\nawait asyncio.gather(f(1), f(2))"
    assert guest.value(code) == "[1, 2]"


def test_prints_in_functions_appear(guest: RestrictedGuest) -> None:
    guest.output()
    guest.run("def f():\n    print('in', end='!')\n    def g(): print('deep')\n    g()\nf()")
    assert guest.output() == "in!deep\n"


def test_the_namespace_is_restored_before_each_cell(guest: RestrictedGuest) -> None:
    assert guest.value("type(1) is int, len('ab')") == "(True, 2)"


def test_a_restricted_session_refuses_plain_text(guest: RestrictedGuest) -> None:
    cell = guest.run_plain("import os\nprint('ran')")
    assert not cell.ok
    assert "never both" in cell.error["message"]
    assert "ran" not in guest.output()


@pytest.mark.parametrize("program", [b"\x00", b"no program", base64.b64decode("AAAA")])
def test_what_is_no_program_runs_nothing(guest: RestrictedGuest, program: bytes) -> None:
    guest.begin_program("print('ran')", program)
    cell = guest.finish()
    assert cell.error["name"] == "ProgramError"
    assert "ran" not in guest.output()


def test_a_plain_session_refuses_programs() -> None:
    with RestrictedGuest() as guest:
        assert guest.run_plain("import os; x = 1").ok
        cell = guest.run("x")
        assert "never both" in cell.error["message"]
        assert guest.run_plain("x").text == "1"


def test_an_interrupt_keeps_the_variables() -> None:
    with RestrictedGuest() as guest:
        guest.run("kept = [1]")
        guest.begin("while True: pass")
        storm = guest.storm(0.5)
        assert guest.finish().error["name"] == "KeyboardInterrupt"
        storm.join()
        assert guest.value("kept") == "[1]"


def test_files_of_the_work_directory_can_be_opened_and_no_others() -> None:
    with RestrictedGuest() as guest:
        guest.run("with open('a.txt', 'w') as f: f.write('hi')")
        assert guest.value("open('a.txt').read()") == "'hi'"
        assert guest.run("open('/etc/passwd')").error["name"] == "PermissionError"
        cell = guest.run("raw = open('a.txt', 'rb').raw\ntype(raw)('/etc/passwd')")
        assert "restricted code" in cell.error["message"]
        assert "restricted code" in guest.run("raw.__init__('/etc/passwd')").error["message"]
