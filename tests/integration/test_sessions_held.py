"""What a program holds when it is cloned or taken back: its place, open files, modes and a umask that shut itself out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandboxd_client import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemons import Daemon

pytestmark = pytest.mark.userns

CASES = {
    "stands in a directory": (
        "import os; os.mkdir('sub'); os.chdir('sub'); open('f', 'w').close()",
        "os.unlink('f')",
        "os.getcwd(), os.listdir()",
    ),
    "stands in a directory that is removed": (
        "import os; os.mkdir('sub'); os.chdir('sub')",
        "os.rmdir('/work/sub')",
        "os.getcwd(), os.listdir('/work')",
    ),
    "has a file open for reading": (
        "file = open('data', 'w+'); file.write('0123456789'); file.seek(3); file.read(0)",
        "file.read(2); file.truncate(0)",
        "file.tell(), open('data').read()",
    ),
    "shut its work directory": (
        "import os; open('f', 'w').close()",
        "os.chmod('/work', 0)",
        "oct(os.stat('/work').st_mode), os.listdir('/work')",
    ),
    "shut its work directory before": (
        "import os; open('f', 'w').close(); os.chmod('/work', 0)",
        "os.chmod('/work', 0o700); os.unlink('f')",
        "oct(os.stat('/work').st_mode)",
    ),
    "shut directories before": (
        "import os; os.makedirs('a/b'); open('a/b/f', 'w').close(); os.chmod('a/b', 0); os.chmod('a', 0o200)",
        "os.chmod('a', 0o700); os.chmod('a/b', 0o700); os.unlink('a/b/f')",
        "oct(os.stat('a').st_mode)",
    ),
    "has a umask that shuts out itself": (
        "import os; os.makedirs('a/b'); before = os.umask(0o777)",
        "os.umask(0)",
        "oct(os.umask(0o777)), oct(os.stat('a/b').st_mode)",
    ),
    "is in a transaction of a database": (
        "import sqlite3; base = sqlite3.connect('base'); base.execute('create table t (x)'); base.commit()",
        "base.execute('insert into t values (1)'); base.commit()",
        "base.execute('select * from t').fetchall()",
    ),
}


@pytest.fixture
def sandbox(daemon: Daemon) -> Iterator[Sandbox]:
    with Sandbox("unscreened", daemon.address) as sandbox:
        yield sandbox


def text(sandbox: Sandbox, code: str) -> str | None:
    execution = sandbox.run_code(code)
    assert execution.ok, execution.error
    return execution.text


@pytest.mark.parametrize("case", CASES)
def test_it_is_taken_back_too(sandbox: Sandbox, case: str) -> None:
    prepare, mess, seen = CASES[case]
    text(sandbox, prepare)
    before = text(sandbox, seen)
    execution = sandbox.run_code(mess + "\n1 / 0", on_error="rollback")
    assert execution.error is not None
    assert (execution.error.name, execution.rolled_back) == ("ZeroDivisionError", True), execution
    assert text(sandbox, seen) == before
    with sandbox.fork()[0] as clone:
        assert clone.run_code("1 + 1").text == "2"


def test_what_is_written_after_a_rollback_is_in_the_file(sandbox: Sandbox) -> None:
    text(sandbox, "log = open('log', 'a'); log.write('one '); log.flush()")
    assert sandbox.run_code("log.write('bad '); log.flush(); 1 / 0", on_error="rollback").rolled_back
    text(sandbox, "log.write('two'); log.flush()")
    assert sandbox.files.read("log") == "one two"


def test_a_clone_writes_to_its_own_copy_of_an_open_file_and_stands_where_the_original_stood(
    sandbox: Sandbox,
) -> None:
    text(sandbox, "import os; os.mkdir('sub'); os.chdir('sub'); log = open('log', 'a')")
    text(sandbox, "log.write('common '); log.flush()")
    left, right = sandbox.fork(2)
    with left, right:
        for name, one in (("left", left), ("right", right), ("original", sandbox)):
            text(one, f"log.write({name!r}); log.flush()")
        for name, one in (("left", left), ("right", right), ("original", sandbox)):
            assert text(one, "open('log').read()") == repr(f"common {name}")
            assert one.files.read("sub/log") == f"common {name}"


def test_an_interpreter_that_shut_its_work_directory_and_died_is_replaced(sandbox: Sandbox) -> None:
    execution = sandbox.run_code("import os; os.chmod('/work', 0); os._exit(0)")
    assert execution.variables_lost
    assert text(sandbox, "import os; open('f', 'w').close(); os.listdir('/work')") == "['f']"


def test_a_clone_that_ends_at_any_moment_leaves_the_original_awake(sandbox: Sandbox) -> None:
    """A clone's end and the original's next snippet race with what puts the box to rest."""
    text(sandbox, "x = 1; import time")
    for turn in range(40):
        with sandbox.fork()[0] as clone:
            text(clone, f"time.sleep({turn % 8} / 1000)")
            text(clone, "x")
        assert text(sandbox, "x") == "1"
