"""The namespace, results, top-level await and exits of cells."""

from __future__ import annotations

import json

import pytest

from tests.guest_harness import Guest


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("1 + 1", "2"),
        ("x = 5\nx", "5"),
        ("x = 5", None),
        ("None", None),
        ("", None),
        ("# nothing", None),
        ("'a'", "'a'"),
        ("[1,\n 2]", "[1, 2]"),
        ("1;", None),
        ("(1) ;", None),
        ("1 # not; a semicolon;", "1"),
        ("if True:\n    3", None),
        ("'é' ; 'ü'", "'ü'"),
        ("'\\ud800'", "'\\ud800'"),
        ("print", "<built-in function print>"),
    ],
)
def test_last_expression_is_the_result(guest: Guest, code: str, text: str | None) -> None:
    assert guest.value(code) == text


def test_names_persist_and_underscore_is_not_set(guest: Guest) -> None:
    guest.value("kept = [1]\nkept")
    assert guest.value("kept.append(2); kept") == "[1, 2]"
    assert guest.run("_").error["name"] == "NameError"


def test_the_rehearsal_leaves_nothing() -> None:
    with Guest() as guest:
        names = "['__builtins__', '__doc__', '__loader__', '__name__', '__package__', '__spec__']"
        assert guest.value("sorted(globals())") == names
        cached = "import linecache; [name for name in linecache.cache if 'rehearsal' in name]"
        assert guest.value(cached) == "[]"


def test_main_is_a_real_module(guest: Guest) -> None:
    code = """
import sys, pickle, dataclasses, typing
@dataclasses.dataclass
class Point:
    x: int
    y: "typing.List[Point]"
copy = pickle.loads(pickle.dumps(Point(1, [])))
hints = typing.get_type_hints(Point)
(__name__, sys.modules["__main__"].Point is Point, copy, hints["y"] == typing.List[Point], sys.argv)
"""
    assert guest.value(code) == "('__main__', True, Point(x=1, y=[]), True, [''])"
    assert guest.value("if __name__ == '__main__':\n    ran = 'guarded'\nran") == "'guarded'"


def test_cleared_globals_do_not_break_the_next_cell(guest: Guest) -> None:
    guest.run("globals().clear()")
    assert guest.value("__name__, len('abc')") == "('__main__', 3)"


def test_future_annotations_hold_for_later_cells() -> None:
    with Guest() as guest:
        guest.value("from __future__ import annotations")
        assert guest.value("def f(x: Undefined): ...\nf.__annotations__") == "{'x': 'Undefined'}"


def test_source_is_there_for_inspect(guest: Guest) -> None:
    guest.value("def area(r):\n    return 3 * r * r")
    assert (
        guest.value("import inspect\ninspect.getsource(area)") == "'def area(r):\\n    return 3 * r * r\\n'"
    )


@pytest.mark.parametrize("size", [0, 100_000])
def test_long_repr_is_cut_and_says_so(guest: Guest, size: int) -> None:
    for code, what in [
        (f"[7] * {size + 3000}", "items"),
        (f"'x' * {size + 3000}", "characters"),
        (f"{{1: 'y' * {size + 3000}}}", "characters"),
    ]:
        text = guest.value(code)
        assert text is not None
        assert text.endswith(f"more {what} left out]")
        assert len(text) < 2100


def test_failing_repr_is_the_cells_error(guest: Guest) -> None:
    cell = guest.run("class Bad:\n    def __repr__(self):\n        raise KeyError('inner')\nBad()")
    assert (cell.error["name"], cell.error["line"]) == ("KeyError", 3)


def test_top_level_await_runs_on_one_loop(guest: Guest) -> None:
    assert (
        guest.value("import asyncio\nloop = asyncio.get_running_loop()\nawait asyncio.sleep(0, 'slept')")
        is not None
    )
    assert guest.value("loop is asyncio.get_running_loop() and await asyncio.sleep(0, 7)") == "7"
    assert (
        guest.value("task = asyncio.create_task(asyncio.sleep(0.01, 'later'))\nawait asyncio.sleep(0)")
        is None
    )
    assert guest.value("await task") == "'later'"
    assert guest.value("await asyncio.gather(*[asyncio.sleep(0, i) for i in range(3)])") == "[0, 1, 2]"


def test_asyncio_run_works_in_a_plain_cell(guest: Guest) -> None:
    assert guest.value("import asyncio\nasync def main():\n    return 3\nasyncio.run(main())") == "3"
    assert guest.value("await asyncio.sleep(0, 4)") == "4"


def test_exit_in_an_await_cell_leaves_the_loop_usable(guest: Guest) -> None:
    guest.value("import asyncio\nawait asyncio.sleep(0)\nraise SystemExit")
    assert guest.value("await asyncio.sleep(0, 4)") == "4"


def test_exception_in_await_shows_the_programs_frames_only(guest: Guest) -> None:
    cell = guest.run("import asyncio\nasync def fail():\n    return 1 / 0\nawait asyncio.gather(fail())")
    assert cell.error["name"] == "ZeroDivisionError"
    assert "asyncio" not in cell.traceback.replace("await asyncio.gather(fail())", "")
    assert cell.error["line"] == 3


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("exit()", None),
        ("import sys; sys.exit(0)", None),
        ("raise SystemExit", None),
        ("raise SystemExit(3)", "3"),
        ("import sys; sys.exit('bad input')", "bad input"),
    ],
)
def test_exit_ends_the_cell_and_not_the_session(guest: Guest, code: str, message: str | None) -> None:
    cell = guest.run("alive = 1\n" + code)
    if message is None:
        assert cell.ok
    else:
        assert (cell.error["name"], cell.error["message"]) == ("SystemExit", message)
    assert guest.value("alive") == "1"


def test_hard_exit_ends_the_guest() -> None:
    with Guest() as guest:
        guest.begin("import os\nos._exit(7)")
        with pytest.raises(EOFError):
            guest.finish()
        assert guest.wait() == 7


def test_a_helper_file_in_the_work_directory_can_be_imported(guest: Guest) -> None:
    guest.value("open('helper_g.py', 'w').write('value = 11')")
    assert guest.value("import helper_g\nhelper_g.value") == "11"
    # ... and a second one, written within the same tick of the file system's clock
    assert guest.value("open('helper_h.py', 'w').write('value = 12')") == "10"
    assert guest.value("import helper_h\nhelper_h.value") == "12"


def test_a_file_in_the_work_directory_does_not_shadow_the_library(guest: Guest) -> None:
    guest.value("open('colorsys.py', 'w').write('')")
    assert guest.value("import colorsys\nhasattr(colorsys, 'rgb_to_hsv')") == "True"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{'a': 1, 2: (3, None), True: 1.5}", {"a": 1, "2": [3, None], "true": 1.5}),
        ("[float('nan'), float('inf'), 0.5]", [None, None, 0.5]),
        ("'\\ud800 é'", "\ud800 é"),
        ("__import__('enum').IntEnum('E', 'A').A", 1),
        ("__import__('numpy').float64(2.5)", 2.5),
        ("{'n': __import__('numpy').int64(3), 'b': __import__('numpy').bool_(True)}", {"n": 3, "b": True}),
        ("__import__('numpy').arange(4).reshape(2, 2)", [[0, 1], [2, 3]]),
    ],
)
def test_final_answer_as_json(guest: Guest, value: str, expected: object) -> None:
    cell = guest.run(f"final_answer({value}) and None")
    assert json.loads(cell.result["final"]["json"]) == expected


@pytest.mark.parametrize(
    "value",
    [
        "object()",
        "{1, 2}",
        "2 ** 5000",
        "list(range(200_000))",
        "'x' * 2_000_000",
        "{(1, 2): 3}",
        "__import__('numpy').datetime64('2020-01-01')",
    ],
)
def test_final_answer_that_is_no_plain_data_has_text_only(guest: Guest, value: str) -> None:
    final = guest.run(f"final_answer({value}); None").result["final"]
    assert final["json"] == ""
    assert final["text"]


def test_final_answer_survives_cycles_and_bad_reprs(guest: Guest) -> None:
    assert guest.run("a = []\na.append(a)\nfinal_answer(a); None").result["final"] == {
        "json": "",
        "text": "[[...]]",
    }
    final = guest.run("class Bad:\n    __repr__ = lambda self: 1 / 0\nfinal_answer(Bad()); None").result[
        "final"
    ]
    assert final == {"json": "", "text": "<Bad whose repr raised ZeroDivisionError>"}


def test_only_the_last_final_answer_of_a_cell_counts(guest: Guest) -> None:
    cell = guest.run("x = final_answer([1])\nfinal_answer([2])\nx.append(9)\nraise ValueError('after')")
    assert cell.result["final"] == {"json": "[2]", "text": "[2]"}
    assert cell.error["message"] == "after"
    assert guest.run("1").result["final"] is None
