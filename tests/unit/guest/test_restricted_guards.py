"""The guards at run time: what no compiler can see is refused by value, and the program's own stays its own."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandboxd.guest.restricted import files
from tests.unit.restrict.restricted import guarded

pytestmark = pytest.mark.hardens

NOT_HERE = "in restricted code"

INERT = {
    "a name made at run time": "getattr((), '__cla' + 'ss__')",
    "a hostile string as a name": """
        class S(str):
            def __eq__(self, o): return True
            def __hash__(self): return hash("upper")
            def startswith(self, *a): return False
        getattr((), S("__class__"))
        """,
    "reduce over a path": "import functools\nfunctools.reduce(getattr, ['__class__', '__base__'], ())",
    "attrgetter": "import operator\noperator.attrgetter('__class__.__base__')(())",
    "format walks": "'{0.__class__}'.format(())",
    "format walks, by a computed template": "t = '{0.__cla' + 'ss__}'\nt.format(())",
    "format of a subclass by super": """
        class S(str):
            def go(self): return super().format(())
        S("{0.__class__}").go()
        """,
    "format, unbound": "list(map(str.format, ['{0.__class__}'], [()]))",
    "format in a nested spec": "'{0:{1.__class__}}'.format(1, ())",
    "format_map": "'{x.__class__}'.format_map({'x': 1})",
    "type of three": "type('X', (), {'__getattribute__': print})",
    "type of a type": "type(type(1))('X', (), {})",
    "a metaclass's call": "from abc import ABCMeta\nABCMeta('X', (), {})",
    "a base that turns into type": "from typing import Type\nclass M(Type[int]): pass",
    "a module's private": "import random\nrandom._os",
    "a library's private on an own class": """
        from enum import Enum
        class C(Enum):
            A = 1
        C._convert_
        """,
    "a private of what is not own": "{}.keys()._mapping",
    "a changed module": "import math\nmath.pi = 3",
    "a changed module, by setattr": "import math\nsetattr(math, 'pi', 3)",
    "a changed library class": "from fractions import Fraction\nFraction.limit_denominator = print",
    "a changed library function": "from textwrap import dedent\ndedent.x = 1",
    "a dunder set at run time": "class A: pass\nsetattr(A, '__del__', print)",
    "a label of strangers": "import textwrap\ntextwrap.dedent.__name__ = 'x'",
    "an object behind an error": "try: [].nope\nexcept AttributeError as e: e.obj",
    "an object behind an error, by its class": "AttributeError.obj",
    "fields of an abstract class": """
        from abc import ABC
        from collections import namedtuple
        class P(namedtuple("B", "gi_frame"), ABC): pass
        """,
    "fields of a protocol": """
        from dataclasses import dataclass
        from typing import Protocol, runtime_checkable
        @dataclass
        class P(Protocol):
            obj: int
        """,
    "a slot's own setter": "import uuid\nuuid.UUID.int.__set__(uuid.UUID(int=1), 2)",
    "a slot's setter, by its class": "import uuid\ntype(uuid.UUID.int).__set__(uuid.UUID.int, uuid.UUID(int=1), 2)",
    "init of a file": "import io\nio.StringIO('a').__init__('b')",
}


@pytest.mark.parametrize("what", INERT)
def test_refused_at_run_time(what: str) -> None:
    printed, value = guarded(textwrap.dedent(INERT[what]).strip())
    assert NOT_HERE in value, (printed, value)


@pytest.mark.parametrize(
    "code",
    [
        "hasattr((), '__class__')",
        "hasattr(lambda: 0, '__globals__')",
        "getattr((), '__doc__'[:2] + 'class__', None)",
        "import random\ngetattr(random, '_os', 'none')",
        "import math, json\nhasattr(json, 'codecs')",
        "import datetime\nhasattr(datetime.date, '__reduce__')",
    ],
)
def test_what_is_there_and_refused_is_never_said_to_be_missing(code: str) -> None:
    printed, value = guarded(code)
    assert (printed, "TypeError" in value, NOT_HERE in value) == ("", True, True), value


def test_what_is_missing_is_missing() -> None:
    printed, _ = guarded(
        "import random\n"
        "print(hasattr((), 'x'), hasattr((), '_x'), getattr(random, '_nothing', 1), hasattr(random, 'nothing'),"
        " getattr(3, '__none__', None), hasattr([], '__len__'))\n"
        "class P:\n"
        "    seen = 0\n"
        "    @property\n"
        "    def p(self):\n"
        "        P.seen += 1\n"
        "        raise AttributeError('once')\n"
        "print(hasattr(P(), 'p'), P.seen)"
    )
    assert printed == "False False 1 False None True\nFalse 1\n"


def test_names_of_one_session_outlive_a_program() -> None:
    names: dict[str, object] = {}
    guarded("import math\nclass A:\n    def __init__(self): self._x = 1\na = A()", names)
    assert guarded("a._x += math.floor(2.5); a._x", names) == ("", "3")


def test_builtins_of_the_namespace_hold_no_way_to_text() -> None:
    names: dict[str, object] = {}
    guarded("1", names)
    assert not {"eval", "exec", "compile", "globals", "locals", "vars", "input", "breakpoint", "open"} & set(
        names["__builtins__"]  # type: ignore[call-overload]
    )


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Path]:
    """A work directory that files are confined to."""
    files.confine(str(tmp_path))
    yield tmp_path
    files.confine(files.WORK)


def test_open_takes_files_of_its_directories_alone(work: Path) -> None:
    with files.open_file(work / "a.txt", "w") as out:
        out.write("text")
    (work / "link").symlink_to("/etc/passwd")
    with files.open_file(str(work / "a.txt").encode()) as back:
        assert back.read() == "text"
    for path in (
        "/etc/passwd",
        work / "link",
        f"{work}/../../../../../../etc/passwd",
        "/proc/self/environ",
    ):
        with pytest.raises(PermissionError, match=NOT_HERE):
            files.open_file(path)
    with pytest.raises(TypeError):
        files.open_file(3)
