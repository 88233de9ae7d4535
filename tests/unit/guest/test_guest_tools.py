"""Tools in the guest alone: binding, values, waiting of every kind, interrupts; the host's part is played by the test."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.guest_harness import Cell, Guest
from tests.unit.guest.test_guest_interpreters import INTERPRETERS

Handler = Callable[[dict[str, Any]], Any]


def told(
    name: str, properties: dict[str, Any], *, required: tuple[str, ...] = (), **more: Any
) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(required),
        **more.pop("schema", {}),
    }
    return {
        "name": name,
        "description": more.pop("description", ""),
        "parameters": json.dumps(schema),
        "returns": "",
        "is_async": False,
        **more,
    }


TOOLS = json.dumps(
    [
        told(
            "search",
            {"q": {"type": "string"}, "n": {"type": "integer", "default": 3}},
            required=("q",),
            description="Find it.\n\nMore about it.",
        ),
        told("fetch", {"url": {"type": "string"}}, required=("url",), is_async=True),
        told("give", {"x": {}}),
        told("open_ended", {}, schema={"additionalProperties": True}),
        told("more_of_it", {"more": {}, "more_": {}}, schema={"additionalProperties": True}),
        told("odd_order", {"a": {"default": 1}, "b": {}}, required=("b",)),
    ]
)


class Host:
    """Answers a guest's calls: at once, unless `held`; those it holds are answered by number when it is told."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        self.calls: list[dict[str, Any]] = []
        self.dropped: list[int] = []
        self.handlers: dict[str, Handler] = {}

    def run(self, code: str, tools: str | None = TOOLS) -> Cell:
        self.begin(code, tools)
        return self.finish()

    def value(self, code: str) -> str | None:
        cell = self.run(code)
        assert cell.ok, cell.result
        return cell.text

    def value_of(self, code: str, tools: str | None) -> str | None:
        return self.run(code, tools).text

    def begin(self, code: str, tools: str | None = TOOLS) -> None:
        self.guest._count += 1
        frame = {
            "op": "run",
            "id": f"x{self.guest._count}",
            "code": code,
            "filename": f"<cell {self.guest._count}>",
        }
        self.guest.send(frame if tools is None else {**frame, "tools": tools})

    def finish(self) -> Cell:
        while True:
            frame = self.guest.receive()
            if frame["op"] == "result":
                return Cell(frame, [])
            if frame["op"] == "drop":
                self.dropped.append(frame["call"])
            elif frame["op"] == "call":
                self.calls.append(frame)
                self.answer(frame)

    def next_call(self) -> dict[str, Any]:
        frame = self.guest.receive()
        assert frame["op"] == "call", frame
        self.calls.append(frame)
        return frame

    def answer(self, frame: dict[str, Any], value: Any = ...) -> None:
        if value is ...:
            arguments = json.loads(frame["arguments"])
            value = self.handlers.get(frame["tool"], lambda given: given)(arguments)
        if isinstance(value, Exception):
            error = {"code": "", "name": type(value).__name__, "message": str(value)}
            self.guest.send({"op": "answer", "call": frame["call"], "ok": False, "error": error})
        else:
            self.guest.send({"op": "answer", "call": frame["call"], "ok": True, "value": json.dumps(value)})


@pytest.fixture
def host(guest: Guest) -> Host:
    return Host(guest)


@pytest.fixture(scope="module")
def own() -> Iterator[Host]:
    """A host with a guest whose built-ins a test may spoil."""
    with Guest() as guest:
        yield Host(guest)


# ---- binding and names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "sent"),
    [
        ("search('a')", {"q": "a"}),
        ("search('a', 5)", {"q": "a", "n": 5}),
        ("search(n=5, q='a')", {"q": "a", "n": 5}),
        ("tools.search('a')", {"q": "a"}),
        ("search('')", {"q": ""}),
        ("open_ended(x=1, y=[2])", {"x": 1, "y": [2]}),
        ("odd_order(5, 6)", {"a": 5, "b": 6}),
        ("odd_order(b=6)", {"b": 6}),
    ],
)
def test_arguments_are_bound_by_the_order_of_the_schema(host: Host, call: str, sent: dict[str, Any]) -> None:
    assert host.value(f"{call} == {sent!r}") == "True"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        ("search()", "lacks 'q'"),
        ("search('a', 1, 2)", "takes 2 arguments, and 3 were given"),
        ("search('a', q='b')", "got 'q' twice"),
        ("search('a', limit=1)", "has no argument 'limit'"),
        ("search('a', m=1)", "has no argument 'm'"),
        ("search(quote='a')", "its form is search(q: str, n: int = 3)"),
        ("open_ended(1)", "takes 0 arguments"),
    ],
)
def test_what_does_not_bind_is_said_without_a_call(host: Host, call: str, says: str) -> None:
    cell = host.run(
        f"try:\n    {call}\nexcept TypeError as error:\n    assert error.code == 'TOOL_ARGUMENTS'\n    raise"
    )
    assert cell.error["name"] == "ToolArgumentsError"
    assert says in cell.error["message"]
    assert not host.calls


def test_names_may_be_taken_and_come_back(host: Host) -> None:
    assert host.value("search = 5\nsearch") == "5"
    assert host.value("[search, tools.search('a')]") == "[5, {'q': 'a'}]"
    assert host.value("del search\nsearch('b')") == "{'q': 'b'}"
    assert host.run("import builtins\ndel builtins.search, builtins.tools\nbuiltins.fetch = None").ok
    assert host.value("[search('c'), tools.give(x=1), callable(fetch)]") == "[{'q': 'c'}, {'x': 1}, True]"


def test_tools_that_are_gone_are_gone(own: Host) -> None:
    assert own.value("import builtins\nsearch('a')") == "{'q': 'a'}"
    only = json.dumps([told("other", {})])
    assert own.run("builtins.give = 'mine'").ok
    assert own.run("other()", only).ok
    assert own.run("search", only).error["name"] == "NameError"
    assert own.value_of("give", only) == "'mine'", "what a program put there is its own"
    assert own.run("tools", None).error["name"] == "NameError"
    assert own.run("ToolError", None).error["name"] == "NameError"
    assert own.value("search('a')") == "{'q': 'a'}"


def test_they_describe_themselves(host: Host) -> None:
    text = host.value("tools")
    assert text is not None
    assert "  search(q: str, n: int = 3) -> Any  # Find it." in text.splitlines()
    assert host.value("search.__doc__") == repr("Find it.\n\nMore about it.")
    assert host.value("import inspect\nstr(inspect.signature(search))") == "'(q: str, n: int = 3) -> Any'"
    host.run("help(tools.search)")
    shown = host.guest.output()
    assert "search(q: str, n: int = 3) -> Any" in shown
    assert "More about it." in shown
    assert "more_of_it(more: Any = ..., more_: Any = ..., **more__) -> Any" in text
    assert "did you mean 'search'?" in host.run("tools.serach").error["message"]


# ---- values ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    ["None", "True", "[1, 2.5, 'ä', [], {}]", "{'a': {'b': [None]}}", "10**300", "-0.5", "'\\x00\\u2028'", "{'$sandboxd': 'bytes', 'base64': 5}",
     "{'a': [{'$sandboxd': 1}]}"],
)  # fmt: skip
def test_plain_data_goes_and_comes_back(host: Host, value: str) -> None:
    host.handlers["give"] = lambda given: given["x"]
    assert host.value(f"x = {value}\ngive(x) == x") == "True"


def test_what_is_nearly_plain_becomes_plain(host: Host) -> None:
    host.handlers["give"] = lambda given: given["x"]
    code = """
import collections, enum
class Text(str): pass
class Level(enum.IntEnum):
    HIGH = 3
back = give([(1, 2), Text('a'), Level.HIGH, collections.OrderedDict(b=1), collections.Counter('aa'), True])
[back, [type(one).__name__ for one in back]]
"""
    assert host.value(code) == repr([
        [[1, 2], "a", 3, {"b": 1}, {"a": 2}, True], ["list", "str", "int", "dict", "dict", "bool"],
    ])  # fmt: skip


def test_bytes_pass_by_value(host: Host) -> None:
    host.handlers["give"] = lambda given: given["x"]
    assert host.value(
        "[give(b'\\x00\\xff'), give(bytearray(b'a')), give(memoryview(b'b')), give([b'c'])]"
    ) == repr([b"\x00\xff", b"a", b"b", [b"c"]])
    assert json.loads(host.calls[0]["arguments"]) == {
        "x": {"$sandboxd": "bytes", "base64": base64.b64encode(b"\x00\xff").decode()}
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("{1}", "set"),
        ("object()", "object"),
        ("lambda: 1", "function"),
        ("(n for n in [1])", "generator"),
        ("{1: 2}", "keys must be text"),
        ("float('nan')", "nan is no JSON"),
        ("float('-inf')", "-inf is no JSON"),
        ("10**2000", "1,000 digits"),
        ("'\\ud800'", "surrogate"),
        ("3j", "complex"),
        ("[[[{2}]]]", "set"),
        ("__import__('datetime').date(2020, 1, 1)", "datetime.date"),
        ("__import__('decimal').Decimal(1)", "decimal.Decimal"),
        ("fetch", "function"),
        ("'a' * 4_000_000", "3,145,728 bytes"),
        ("[0] * 60_000", "50,000 values"),
    ],
)
def test_anything_else_is_a_type_error_that_names_the_argument(host: Host, value: str, says: str) -> None:
    cell = host.run(f"give(x={value})")
    assert cell.error["name"] == "TypeError"
    assert cell.error["message"].startswith("give: ")
    assert says in cell.error["message"]
    assert "'x'" in cell.error["message"] or "the arguments" in cell.error["message"]
    assert not host.calls


def test_a_value_that_holds_itself_is_refused(host: Host) -> None:
    assert "holds itself" in host.run("a = []\na.append(a)\ngive(a)").error["message"]
    assert "holds itself" in host.run("d = {}\nd['d'] = d\ngive(d)").error["message"]


def test_tables_and_images_pass_by_value(data_guest: Guest) -> None:
    host = Host(data_guest)
    host.handlers["give"] = lambda given: given["x"]
    code = """
import numpy as np, pandas as pd
frame = pd.DataFrame({
    "i": pd.Series([1, 2, 3], dtype="int32"), "f": [0.5, float("nan"), float("inf")], "b": [True, False, True], "t": ["a", None, "ä"],
    "d": pd.to_datetime(["2020-01-01T12:00:00.000000001", None, "2021-05-05"], format="ISO8601"), "z": pd.to_datetime(["2020-03-29T00:00:00Z"] * 3).tz_convert("Europe/Berlin"),
    "delta": pd.to_timedelta([1, None, 3], unit="ns"), "n": pd.array([1, None, 3], dtype="Int64"), "c": pd.Categorical(["x", "y", "x"]),
    "o": pd.Series([1, "a", None], dtype=object),
})
frame.columns = [*frame.columns[:-1], 7]
back = give(frame)
pd.testing.assert_frame_equal(back, frame)
indexed = pd.DataFrame({"v": [1, 2]}, index=pd.Index(["r1", "r2"], name="row"))
pd.testing.assert_frame_equal(give(indexed), indexed)
dated = pd.DataFrame({"v": [1.0, 2.0]}, index=pd.to_datetime(["2020-01-01", "2020-01-02"]))
pd.testing.assert_frame_equal(give(dated), dated, check_freq=False)
pd.testing.assert_frame_equal(give(pd.DataFrame()), pd.DataFrame(), check_column_type=False, check_index_type=False)
twice = pd.DataFrame([[1, 2]], columns=["a", "a"])
pd.testing.assert_frame_equal(give(twice), twice)
[give([np.int64(1), np.float32(0.5), np.bool_(True), np.str_("a")])]
"""
    assert host.value(code) == "[[1, 0.5, True, 'a']]"
    for value, says in (
        ("np.zeros(3)", ".tolist()"), ("pd.Series([1])", ".to_frame()"), ("pd.DataFrame({'a': [[1]]})", "holds a list"),
        ("pd.DataFrame({'a': [1j]})", "complex"), ("pd.DataFrame({('a', 'b'): [1]})", "column names"),
        ("pd.DataFrame({'a': [1]}, index=pd.MultiIndex.from_tuples([(1, 2)]))", ".reset_index()"), ("pd.DataFrame({1.5: [1]})", "column names"),
        ("pd.DataFrame({'a': [pd.Timestamp('2020').date()]})", "holds a date"), ("pd.Timestamp('2020')", "Timestamp"), ("np.float64('nan')", "nan"),
    ):  # fmt: skip
        error = host.run(f"give({value})").error
        assert error["name"] == "TypeError", (value, error)
        assert says in error["message"], (value, error)
    strange = {
        "$sandboxd": "dataframe",
        "columns": ["a"],
        "dtypes": ["os.system"],
        "data": [["x"]],
        "index": None,
    }
    host.handlers["give"] = lambda _: strange
    assert host.value("str(give(x=1).dtypes['a'])") in {"'object'", "'str'"}, (
        "a dtype that is not of the table names nothing"
    )


def test_images_pass_by_value(guest: Guest) -> None:
    pil = pytest.importorskip("PIL.Image")
    host = Host(guest)
    host.handlers["give"] = lambda given: given["x"]
    assert (
        host.value(
            "from PIL import Image\nback = give(Image.new('RGB', (3, 2), 'red'))\n[back.size, back.getpixel((0, 0))]"
        )
        == "[(3, 2), (255, 0, 0)]"
    )
    sent = json.loads(host.calls[0]["arguments"])["x"]
    assert sent["mime"] == "image/png"
    assert pil.open(io.BytesIO(base64.b64decode(sent["base64"]))).size == (3, 2)
    assert host.value("give(Image.new('CMYK', (1, 1))).mode") == "'RGB'"


# ---- waiting --------------------------------------------------------------------------------------------------


def test_answers_may_come_in_any_order(host: Host) -> None:
    host.begin("import asyncio\nawait asyncio.gather(*(fetch(str(n)) for n in range(8)))")
    calls = [host.next_call() for _ in range(8)]
    for call in reversed(calls):
        host.answer(call, int(json.loads(call["arguments"])["url"]) * 10)
    assert host.finish().text == str([n * 10 for n in range(8)])


@pytest.mark.parametrize(
    "code",
    [
        "await fetch('a')",
        "await tools.search.aio('a')",
        "import asyncio\nasyncio.run(fetch('a'))",
        "import asyncio\nasync def main():\n    return await asyncio.wait_for(fetch('a'), 30)\nasyncio.run(main())",
        "import asyncio\ntask = asyncio.create_task(fetch('a'))\nawait asyncio.sleep(0)\nawait task",
        "later = fetch('a')\nawait later",
        "async def inner():\n    return search('a')\nawait inner()",
        "from concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(1).submit(search, 'a').result()",
        "import asyncio\nfrom concurrent.futures import ThreadPoolExecutor\nThreadPoolExecutor(1).submit(lambda: asyncio.run(fetch('a'))).result()",
        "import asyncio\nawait asyncio.to_thread(search, 'a')",
    ],
)
def test_every_way_of_waiting(host: Host, code: str) -> None:
    host.handlers = dict.fromkeys(("search", "fetch"), lambda _: "there")
    assert host.value(code) == "'there'"


def test_threads_and_loops_wait_side_by_side(host: Host) -> None:
    code = """
import asyncio
from concurrent.futures import ThreadPoolExecutor
def in_loop(n):
    async def main():
        return await asyncio.gather(*(fetch(f"{n}.{k}") for k in range(5)))
    return asyncio.run(main())
with ThreadPoolExecutor(12) as pool:
    plain = [pool.submit(search, str(n)) for n in range(60)]
    loops = [pool.submit(in_loop, n) for n in range(6)]
    here = await asyncio.gather(*(fetch(f"h{k}") for k in range(10)))
    results = [one.result()["q"] for one in plain], [[two["url"] for two in one.result()] for one in loops], [one["url"] for one in here]
results == ([str(n) for n in range(60)], [[f"{n}.{k}" for k in range(5)] for n in range(6)], [f"h{k}" for k in range(10)])
"""
    assert host.value(code) == "True"


def test_more_calls_than_may_be_out_wait_for_answers(host: Host) -> None:
    host.begin("import asyncio\nawait asyncio.gather(*(fetch(str(n)) for n in range(150)))\n'all'")
    held = [host.next_call() for _ in range(60)]
    host.guest.control.settimeout(0.5)
    with pytest.raises(TimeoutError):
        host.next_call()
    host.guest.control.settimeout(60)
    for call in held:
        host.answer(call)
    assert host.finish().text == "'all'"


def test_a_wait_for_room_can_be_interrupted(host: Host) -> None:
    host.begin("calls = [fetch(str(n)) for n in range(100)]")
    held = [host.next_call() for _ in range(60)]
    storm = host.guest.storm(0.3)
    assert host.finish().error["name"] == "KeyboardInterrupt"
    storm.join()
    for call in held:
        host.answer(call)
    assert host.value("search('b')") == "{'q': 'b'}"
    host.guest.output("stderr")


def test_a_cancelled_await_is_told_and_its_answer_dropped(host: Host) -> None:
    host.begin(
        "import asyncio\ntry:\n    await asyncio.wait_for(fetch('slow'), 0.05)\nexcept asyncio.TimeoutError:\n    pass\nsearch('b')"
    )
    slow = host.next_call()
    drop = host.guest.receive()
    assert (drop["op"], drop["call"]) == ("drop", slow["call"])
    host.answer(slow, "late")
    assert host.finish().text == "{'q': 'b'}"


@pytest.mark.parametrize(
    "code",
    [
        "search('a')",
        "await fetch('a')",
        "import asyncio\nasyncio.run(fetch('a'))",
        "[search('a') for _ in range(9)]",
    ],
)
def test_an_interrupt_ends_the_wait_and_the_next_cell_is_whole(host: Host, code: str) -> None:
    for _ in range(3):
        host.begin(f"kept = 1\n{code}")
        call = host.next_call()
        time.sleep(0.05)
        storm = host.guest.storm(0.3)
        cell = host.finish()
        storm.join()
        assert cell.error["name"] == "KeyboardInterrupt"
        host.answer(call, "late")
        assert host.value("[kept, search('b')]") == "[1, {'q': 'b'}]"
        assert host.value("await fetch('c')") == "{'url': 'c'}"


def test_interrupts_at_any_moment_leave_calls_whole(host: Host) -> None:
    code = "n = 0\nwhile True:\n    try:\n        while True:\n            search(str(n))\n            n += 1\n    except KeyboardInterrupt:\n        if n > 300:\n            break\nn > 300"
    host.begin(code)
    storm = host.guest.storm(4, 0.003)
    cell = host.finish()
    storm.join()
    if cell.text != "True":  # one came while the program handled the last: then its cell ends, and so may any
        assert cell.result["error"]["name"] == "KeyboardInterrupt", cell.result
    assert host.value("[search('z'), await fetch('y')]") == "[{'q': 'z'}, {'url': 'y'}]"


def test_a_tool_in_a_finalizer_does_not_lock(host: Host) -> None:
    code = """
import gc
class Dies:
    def __init__(self): self.me = self
    def __del__(self):
        try: search('last words')
        except BaseException: pass
for n in range(50):
    Dies()
    search(str(n))
    if n % 10 == 0: gc.collect()
'done'
"""
    assert host.value(code) == "'done'"


def test_a_forgotten_await_is_explained(host: Host) -> None:
    cell = host.run("fetch('a')['x']")
    assert "Hint: an async function or tool was called without await" in cell.traceback
    assert "await" in host.run("search(fetch('a'))").traceback
    assert host.run("fetch('a')\nNone").ok
    assert "coroutine 'tools.fetch' was never awaited" in host.guest.output("stderr")


def test_an_error_of_a_tool_has_its_parts(host: Host) -> None:
    host.handlers["search"] = lambda _: ValueError("no such row")
    cell = host.run(
        "try:\n    search('a')\nexcept ToolError as error:\n    parts = [error.tool, error.code, error.name, error.message, str(error), type(error).__module__]\nparts"
    )
    assert cell.text == repr(
        ["search", "", "ValueError", "no such row", "search: ValueError: no such row", "builtins"]
    )
    cell = host.run("def f():\n    return tools.search('a')\n\n\nf()")
    assert "in f\n    return tools.search('a')" in cell.traceback
    assert "guest" not in cell.traceback.replace("cell", "")
    assert cell.traceback.endswith("ToolError: search: ValueError: no such row")
    assert (
        host.value(
            "import pickle\nerror2 = pickle.loads(pickle.dumps(error)) if 'error' in dir() else ToolError('x')\nisinstance(error2, ToolError)"
        )
        == "True"
    )


@pytest.mark.parametrize("version", sorted(INTERPRETERS))
def test_on_every_interpreter(version: str) -> None:
    with Guest(INTERPRETERS[version], site=False) as guest:
        host = Host(guest)
        assert host.value("import asyncio\n[search('a'), await fetch('b'), await asyncio.gather(*(fetch(str(n)) for n in range(3)))]") == repr([
            {"q": "a"}, {"url": "b"}, [{"url": "0"}, {"url": "1"}, {"url": "2"}],
        ])  # fmt: skip
        assert "search(q: str, n: int = 3)" in str(host.value("tools"))
        assert host.run("give({1})").error["name"] == "TypeError"
