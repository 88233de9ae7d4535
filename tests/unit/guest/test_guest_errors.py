"""What a program's author reads when a cell fails."""

from __future__ import annotations

import pytest

from tests.guest_harness import Guest


def test_own_lines_are_shown_across_cells(guest: Guest) -> None:
    guest.value("def divide(n):\n    half = n / 2\n    return half / 0")
    cell = guest.run("\ndivide(4)")
    lines = cell.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "ZeroDivisionError: float division by zero"
    assert "    divide(4)" in lines
    assert "    return half / 0" in lines
    assert "sandboxd" not in cell.traceback
    assert cell.error["line"] == 2  # of this cell: the one to repair


def test_library_frames_are_collapsed_but_the_last(guest: Guest) -> None:
    cell = guest.run("import json\njson.loads('[1,')")
    assert "  [1 library frame]\n" in cell.traceback or "  [2 library frames]\n" in cell.traceback
    assert '  File "json/decoder.py", line' in cell.traceback
    assert cell.error["name"] == "JSONDecodeError"


def test_chained_exceptions_are_kept(guest: Guest) -> None:
    cell = guest.run("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('outer') from e")
    assert "KeyError: 'k'" in cell.traceback
    assert "direct cause" in cell.traceback
    assert cell.traceback.endswith("ValueError: outer")
    assert cell.error["line"] == 4


@pytest.mark.parametrize(
    ("code", "line", "expected"),
    [
        ("x = 1\ny = = 2", 2, "y = = 2"),
        ("return 5", 1, "return 5"),
        ("  x = 1", 1, "IndentationError"),
        ("for i in [1]:\nx", 2, "IndentationError"),
    ],
)
def test_syntax_errors_look_like_pythons(guest: Guest, code: str, line: int, expected: str) -> None:
    cell = guest.run(code)
    assert issubclass(getattr(__import__("builtins"), cell.error["name"]), SyntaxError)
    assert cell.error["line"] == line
    assert expected in cell.traceback
    assert "^" in cell.traceback or "Indentation" in expected
    assert cell.traceback.startswith('  File "<cell')


@pytest.mark.parametrize("code", ["x = '\0'", "(" * 300, "-" * 100_000 + "1", "'\ud800'", "def f(:\n" * 10])
def test_hostile_source_is_an_error_and_no_death(code: str) -> None:
    with Guest() as guest:
        guest.begin(code)
        try:
            assert not guest.finish().ok
        except EOFError:
            pytest.fail("the guest died")
        assert guest.value("1") == "1"


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (
            "import no_such_package",
            "'no_such_package' is not installed, and nothing can be installed in this sandbox. Beside the standard library there are: numpy==2.0.0, pandas==2.2.0.",
        ),
        ("import no_such.thing.below", "'no_such' is not installed"),
        ("input('name? ')", "input() has no answer"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 1), timeout=5)", "no network"),
        ("import errno\nraise OSError(errno.ENETUNREACH, 'Network is unreachable')", "no network"),
        ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1:1/', timeout=5)", "no network"),
        ("import errno\nraise OSError(errno.EROFS, 'Read-only file system', '/usr/x')", "can be written"),
        (
            "import errno\nraise PermissionError(errno.EACCES, 'Permission denied', '/etc/shadow')",
            "can be written",
        ),
        ("import errno\nraise OSError(errno.ENOSPC, 'No space left on device')", "disk is full"),
        ("raise MemoryError", "memory limit"),
        ('raise RuntimeError("can\'t start new thread")', "limit of processes and threads"),
        ("!pip install torch", "nothing can be installed"),
        (
            "import subprocess\nsubprocess.run(['uv', 'pip', 'install', 'x'], env={'PATH': '/none'})",
            "nothing can be installed",
        ),
    ],
)
def test_hints(guest: Guest, code: str, hint: str) -> None:
    cell = guest.run(code)
    assert cell.traceback.splitlines()[-1].startswith("Hint: ")
    assert hint in cell.traceback.splitlines()[-1]
    assert "Hint" not in cell.error["message"]


def test_missing_file_lists_what_there_is(guest: Guest) -> None:
    guest.value("open('sales.csv', 'w').close()")
    assert "'sales.csv'" in guest.run("open('sale.csv')").traceback.splitlines()[-1]


@pytest.mark.parametrize(
    "code", ["1 / 0", "{}['a']", "raise ConnectionError('timeout #1')", "raise OSError('plain')"]
)
def test_no_hint_for_the_programs_own_errors(guest: Guest, code: str) -> None:
    assert "Hint" not in guest.run(code).traceback


def test_deep_recursion_is_short(guest: Guest) -> None:
    cell = guest.run("def a(n):\n    return b(n)\ndef b(n):\n    return a(n)\na(1)")
    assert cell.error["name"] == "RecursionError"
    assert "frames left out]" in cell.traceback
    assert len(cell.traceback.splitlines()) < 120


def test_huge_messages_are_cut(guest: Guest) -> None:
    cell = guest.run("raise ValueError('x' * 10_000_000)")
    assert len(cell.error["message"]) < 5000
    assert len(cell.traceback) < 40_000
    assert "left out]" in cell.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        "__str__ = lambda self: 1 / 0",
        "__str__ = lambda self: 5",
        "__str__ = lambda self: '\\ud800'",
        "__notes__ = property(lambda self: 1 / 0)",
        "__class__ = property(lambda self: 1 / 0)",
        "__cause__ = 5",
    ],
)
def test_exceptions_that_cannot_be_described(guest: Guest, body: str) -> None:
    cell = guest.run(f"class Evil(Exception):\n    {body}\nraise Evil")
    assert cell.error["name"] == "Evil"
    assert cell.error["line"] == 3
    assert guest.value("1") == "1"


def test_a_class_that_lies_about_its_name(guest: Guest) -> None:
    code = "class Meta(type):\n    __name__ = property(lambda cls: 1 / 0)\nclass Evil(Exception, metaclass=Meta): pass\nraise Evil"
    assert guest.run(code).error["name"] == "Evil"


def test_memory_error_leaves_the_session_usable() -> None:
    with Guest() as guest:
        guest.value("import resource\nresource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))")
        cell = guest.run(
            "def eat():\n    hoard = []\n    while True:\n        hoard.append(bytearray(1 << 20))\neat()"
        )
        assert cell.error["name"] == "MemoryError"
        assert guest.value("len(bytearray(100 << 20))") == str(100 << 20)


def test_a_raised_syntax_error_shows_no_line_of_the_file_that_it_names(guest: Guest) -> None:
    cell = guest.run("raise SyntaxError('m', ('/etc/passwd', 1, 1, None))")
    assert "root:" not in cell.traceback
    assert cell.error["name"] == "SyntaxError"
