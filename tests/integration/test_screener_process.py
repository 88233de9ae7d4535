"""The real screener process: hostile sources, kills, hangs, lies, recycling. Whatever happens, nothing unscreened runs."""

import asyncio
import contextlib
import dataclasses
import os
import signal
import stat
import sys
import time
from pathlib import Path

import pytest
from mutants import Edit, make_mutant

from sandboxd.errors import StartError
from sandboxd.events import Decision, ToolSpec
from sandboxd.policy import PolicySet
from sandboxd.screen import Screener, syntax_error_of
from sandboxd.screen.process import ProcessSettings, ScreenProcess, ScreenProcessError
from sandboxd.screen.tools import Signatures
from sandboxd.seccomp import build_screener_filter

POLICIES = PolicySet.load(None, default="default", allow_unscreened=True)
DEFAULT = POLICIES.get("default")


@pytest.fixture
async def screener():
    one = Screener()
    await one.start()
    yield one
    await one.close()


@contextlib.asynccontextmanager
async def running(**settings):
    one = Screener(**settings)
    try:
        yield one
    finally:
        await one.close()


FAKE = """
import sys, os, time, struct, json
def send(head, tail=b""):
    os.write(0, struct.pack(">II", len(head), len(tail)) + head + tail)
def answer(tail=b"", **changes):
    form = {"findings": [], "truncated": False, "imports": [], "binds": [], "stats": {"nodes": 1, "depth": 1}}
    form["token"] = asked["token"]
    send(json.dumps({**form, **changes}).encode(), tail)
send(b'{"python": "3.11.0", "missing": {}}')
question = os.read(0, 1 << 20)
asked = json.loads(question[8 : 8 + struct.unpack(">II", question[:8])[0]])
"""


def fake_interpreter(directory, body):
    """A program in the place of the interpreter, that says hello as a screener does and then misbehaves."""
    path = directory / "python"
    path.write_text(f"#!{sys.executable} -IS\n{FAKE}{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def limits_of(pid):
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
    return {line[:26].strip(): line[26:].split()[0] for line in lines}


def environment_of(pid):
    return Path(f"/proc/{pid}/environ").read_bytes()


def descriptors_of(pid):
    return {str(one.readlink()).split(":")[0] for one in Path(f"/proc/{pid}/fd").iterdir()}


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


async def ended(screener):
    """Wait until the event loop knows that the processes are gone."""
    for pool in screener._pools.values():
        for process in pool._running:
            await process._process.wait()


def failed(verdict):
    return verdict.decision is Decision.DENY and [one.rule_id for one in verdict.findings] == ["SBX901"]


async def test_allows_and_denies(screener):
    good = await screener.check("import math\nprint(math.pi)\n", DEFAULT)
    assert (good.decision, good.findings, good.imports) == (Decision.ALLOW, (), ("math",))
    assert (good.policy, good.policy_digest) == ("default", DEFAULT.digest)
    assert good.python_version == "{}.{}.{}".format(*sys.version_info[:3])
    bad = await screener.check("import os\nos.system('id')\n", DEFAULT)
    assert bad.decision is Decision.DENY
    assert (bad.findings[0].rule, bad.findings[0].line, bad.findings[0].column) == (
        "member-not-allowed",
        2,
        1,
    )


async def test_policies_are_kept_apart(screener):
    source = "import pandas as pd\npd.DataFrame()\n"
    assert (await screener.check(source, DEFAULT)).decision is Decision.DENY
    assert (await screener.check(source, POLICIES.get("data-science"))).decision is Decision.ALLOW
    assert (await screener.check(source, DEFAULT)).decision is Decision.DENY


async def test_warnings_run(screener):
    verdict = await screener.check("x.format(1)\n", POLICIES.get("data-science"))
    assert verdict.decision is Decision.WARN


async def test_a_syntax_error_is_the_programs_own(screener):
    verdict = await screener.check("def f(:\n", DEFAULT)
    assert syntax_error_of(verdict, "def f(:\n").name == "SyntaxError"


async def test_an_unscreened_policy_checks_the_text_and_starts_nothing():
    async with running() as screener:
        free = POLICIES.get("unscreened")
        assert (await screener.check("import ctypes; eval('1')", free)).decision is Decision.ALLOW
        assert (await screener.check("x = = 1", free)).decision is Decision.ALLOW
        assert [one.rule for one in (await screener.check("\x00", free)).findings] == ["nul-character"]
        assert [one.rule for one in (await screener.check("\ud800", free)).findings] == ["not-unicode"]
        assert [one.rule for one in (await screener.check("#" * 300_000, free)).findings] == [
            "source-too-large"
        ]
        assert screener.pids() == ()


BOMBS = {
    "parens": "(" * 5000 + ")" * 5000,
    "minus": "-" * 10_000 + "1",
    "not": "not " * 10_000 + "1",
    "lambda": "lambda:" * 5000 + "1",
    "power": "1" + "**1" * 10_000,
    "attributes": "x" + ".a" * 30_000,
    "sums": "1" + "+x" * 30_000,
    "calls": "x" + "(0)" * 20_000,
    "elif": "if x: pass\n" + "elif x: pass\n" * 5000,
    "elif-1000": "if x: pass\n" + "elif x: pass\n" * 1000,
    "for": "".join(" " * level + "for x in y:\n" for level in range(21)) + " " * 21 + "pass\n",
    "indent": "".join(" " * level + "if x:\n" for level in range(99)) + " " * 99 + "pass\n",
    "decimal": "x = " + "9" * 60_000,
    "hex": "x = 0x" + "f" * 60_000,
    "commas": "0," * 32_000,
    "names": "a\n" * 32_000,
    "calls-wide": "f(a)\n" * 13_000,
    "fstrings": "f'{" * 200 + "x" + "}'" * 200,
    "strings": "'" * 60_000,
    "braces": "{" * 200 + "}" * 200,
    "walrus": "(a:=" * 3000 + "1" + ")" * 3000,
    "unpack": "*" * 30_000 + "a = b",
    "decorators": "@a\n" * 20_000 + "def f(): pass",
    "match": "match x:\n case " + "[" * 3000 + "]" * 3000 + ": pass",
    "subscripts": "x" + "[0]" * 20_000,
    "comparisons": "1" + "<1" * 30_000,
    "await": "await " * 10_000 + "x",
    "backslashes": "\\\n" * 30_000,
    "comments": "#\n" * 30_000,
    "templates": "x = '" + "{a." * 10_000 + "'",
}


@pytest.mark.parametrize("name", BOMBS)
async def test_parser_bombs_end_in_a_verdict(screener, name):
    started = time.monotonic()
    verdict = await screener.check(BOMBS[name], DEFAULT, thorough=True)
    assert time.monotonic() - started < 10
    assert verdict.decision is (Decision.ALLOW if name == "comments" else Decision.DENY)
    assert (await screener.check("print(1)\n", DEFAULT)).decision is Decision.ALLOW


async def test_bombs_at_the_largest_source_a_policy_may_allow(tmp_path):
    (tmp_path / "wide.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: wide}\nextends: default\n"
        "screen: {budgets: {source: 1MiB, line: 1MiB, nodes: 200000, depth: 200}}\n"
    )
    wide = PolicySet.load(tmp_path, default="default", allow_unscreened=False).get("wide")
    async with running(memory_bytes=256 * 2**20) as screener:
        for bomb in ("f(a)\n" * 200_000, "x" + ".a" * 500_000, "1" + "+x" * 500_000, "0," * 500_000):
            assert (await screener.check(bomb, wide)).decision is Decision.DENY
            assert (await screener.check("print(1)\n", wide)).decision is Decision.ALLOW


async def test_the_process_is_limited(screener):
    (pid,) = screener.pids()
    limits = limits_of(pid)
    assert limits["Max address space"] == str(512 * 2**20)
    assert limits["Max core file size"] == "1"  # which keeps a piped core_pattern's handler away; 0 does not
    assert limits["Max file size"] == "0"
    assert limits["Max open files"] == "1"
    assert limits["Max processes"] == "0"
    await screener.check("print(1)\n", DEFAULT)
    assert limits_of(pid)["Max cpu time"] != "unlimited"
    if os.geteuid() == 0:  # it is not dumpable, so nobody else may look
        assert environment_of(pid) == b""
        assert descriptors_of(pid) == {"socket"}


async def test_a_killed_process_is_replaced_unnoticed(screener):
    (before,) = screener.pids()
    os.kill(before, signal.SIGKILL)
    await ended(screener)
    assert (await screener.check("print(1)\n", DEFAULT)).decision is Decision.ALLOW
    (after,) = screener.pids()
    assert after != before


async def test_death_during_a_check_is_a_denial_and_not_remembered(screener):
    (pid,) = screener.pids()
    os.kill(pid, signal.SIGSTOP)
    check = asyncio.create_task(screener.check("print(2)\n", DEFAULT))
    await asyncio.sleep(0.1)
    os.kill(pid, signal.SIGKILL)
    assert failed(await check)
    assert screener.failures == 1
    assert (await screener.check("print(2)\n", DEFAULT)).decision is Decision.ALLOW


async def test_a_hanging_process_is_killed():
    async with running(wall_seconds=0.3) as screener:
        await screener.start()
        (pid,) = screener.pids()
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        assert failed(await screener.check("print(1)\n", DEFAULT))
        assert 0.2 < time.monotonic() - started < 2
        assert gone(pid)
        assert pid not in screener.pids()


@pytest.mark.parametrize(
    "body",
    [
        "pass",
        "os.write(0, b'\\xff' * 8)",
        "os.write(0, b'\\x00\\x00')",
        "send(b'not json')",
        "send(b'[]')",
        "send(b'{}')",
        "send(b'[' * 100000)",
        "answer(token='0' * 16)",
        "answer(findings=[1])",
        "answer(findings=None)",
        "answer(imports=[1])",
        "answer(imports=['a' * 1000])",
        "answer(binds=[1])",
        "answer(binds=['a'] * 300)",
        "answer(stats={'nodes': -1, 'depth': 1})",
        "answer(stats={'nodes': True, 'depth': 1})",
        "answer(stats=None)",
        "send(b'{}', b'x' * 3_000_000)",
        "os.write(0, struct.pack('>II', 20, 0) + b'{'); time.sleep(60)",
        "os.write(0, struct.pack('>II', 2, 0) + b'{}{}'); time.sleep(60)",
    ],
)
async def test_a_lying_process_is_a_denial(tmp_path, body):
    async with running(python=fake_interpreter(tmp_path, body), wall_seconds=1) as screener:
        await screener.start()
        assert failed(await screener.check("print(1)\n", DEFAULT))


async def test_processes_are_recycled():
    async with running(checks_per_process=3) as screener:
        await screener.start()
        seen = set()
        for number in range(9):
            seen |= set(screener.pids())
            assert (await screener.check(f"print({number})\n", DEFAULT)).decision is Decision.ALLOW
        seen |= set(screener.pids())
        assert len(seen) >= 3
        await screener.close()
        assert all(gone(pid) for pid in seen)


async def test_the_cache_asks_nobody(screener):
    first = await screener.check("print('cached')\n", DEFAULT)
    (pid,) = screener.pids()
    os.kill(pid, signal.SIGSTOP)
    assert await screener.check("print('cached')\n", DEFAULT) is first
    os.kill(pid, signal.SIGCONT)


async def test_a_cancelled_check_leaves_no_process_in_doubt(screener):
    (pid,) = screener.pids()
    os.kill(pid, signal.SIGSTOP)
    check = asyncio.create_task(screener.check("print('gone')\n", DEFAULT))
    await asyncio.sleep(0.1)
    check.cancel()
    with pytest.raises(asyncio.CancelledError):
        await check
    assert gone(pid)
    good = await screener.check("import math\n", DEFAULT)
    assert (good.decision, good.imports) == (Decision.ALLOW, ("math",))


async def test_many_at_once_get_each_their_own_answer():
    async with running(workers=2) as screener:
        await screener.start()
        sources = [
            f"import {module}\nx = {number}\n"
            for number, module in enumerate(["math", "gc", "json", "ctypes"] * 10)
        ]
        verdicts = await asyncio.gather(*(screener.check(source, DEFAULT) for source in sources))
        assert [one.decision is Decision.ALLOW for one in verdicts] == [True, False] * 20
        assert len(screener.pids()) == 2


def restricting(policy):
    return dataclasses.replace(
        policy,
        digest="restricting",
        restricted=True,
        screen=dataclasses.replace(policy.screen, restricted=True),
    )


async def test_a_restricting_policy_gets_a_program_and_others_none(screener):
    source = "import math\nx = [math.pi]\nx[0] += 1\n"
    verdict = await screener.check(source, restricting(DEFAULT))
    assert verdict.decision is Decision.ALLOW
    assert len(verdict.program) > 100
    assert (await screener.check(source, restricting(DEFAULT))) is verdict
    assert (await screener.check(source, DEFAULT)).program == b""
    denied = await screener.check("import os\nos.system('id')\n", restricting(DEFAULT))
    assert (denied.decision, denied.program) == (Decision.DENY, b"")


async def test_an_interpreter_without_the_compiler_is_a_denial_with_a_hint(monkeypatch):
    monkeypatch.setattr("sandboxd.screen.process._restricted_python", lambda: "")
    async with running() as screener:
        verdict = await screener.check("x = 1\n", restricting(DEFAULT))
        assert [(one.rule, one.rule_id) for one in verdict.findings] == [("restrict-unavailable", "SBX902")]
        assert "Python 3.11" in verdict.findings[0].hint
        assert (await screener.check("x = 1\n", DEFAULT)).decision is Decision.ALLOW


async def test_each_environment_has_its_own_interpreter(tmp_path):
    """Another executable is another pool, started when it is first needed; a broken one denies, in its pool alone."""
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    known = {"data-science": str(other), "broken": "/bin/false"}
    async with running(python_of=known.__getitem__) as screener:
        await screener.start()
        (base,) = screener.pids()
        assert (await screener.check("import math\n", DEFAULT)).decision is Decision.ALLOW
        assert screener.pids() == (base,)
        verdict = await screener.check("import math\n", POLICIES.get("data-science"))
        assert (verdict.decision, verdict.python_version) == (
            Decision.ALLOW,
            "{}.{}.{}".format(*sys.version_info[:3]),
        )
        assert len(screener.pids()) == 2
        assert failed(await screener.check("1\n", dataclasses.replace(DEFAULT, environment="broken")))
        assert (await screener.check("2\n", DEFAULT)).decision is Decision.ALLOW


async def test_what_only_the_compiler_finds_is_told_when_nothing_is_to_run(screener):
    verdict = await screener.check("return 1\n", DEFAULT)
    assert (verdict.decision, verdict.stats.nodes) == (Decision.ALLOW, 3)
    checked = await screener.check("return 1\n", DEFAULT, thorough=True)
    assert [one.rule for one in checked.findings] == ["syntax-error"]


async def test_a_source_has_its_measures(screener):
    stats = (await screener.check("é = 1\nprint(é)\n", DEFAULT)).stats
    assert (stats.source_bytes, stats.lines) == (17, 2)
    assert (stats.nodes, stats.depth) == (8, 4)
    deep_first = (await screener.check("x\na.b.c.d.e.f\n", DEFAULT)).stats
    assert (deep_first.nodes, deep_first.depth) == (10, 8)


async def test_the_kernel_ends_a_check_at_its_cpu_budget(short_dir, monkeypatch):
    """Whatever the daemon's clock says: a check has two seconds of CPU, then SIGXCPU."""
    line = '        answer["token"] = head["token"]\n'
    tree = make_mutant(
        short_dir / "tree", [Edit("screen/engine/worker.py", line, f"{line}        while True: pass\n")]
    )
    monkeypatch.setattr("sandboxd.screen.process._FOLDER", str(tree))
    settings = ProcessSettings(2**29, 60, build_screener_filter().program)
    process = await ScreenProcess.start(sys.executable, settings)
    with pytest.raises(ScreenProcessError, match="it ended"):
        await process.ask("1\n", "digest", DEFAULT.screen, compiled=False)
    await process.kill()
    assert process._process.returncode == -signal.SIGXCPU


async def test_after_close_everything_is_denied():
    screener = Screener()
    await screener.start()
    (pid,) = screener.pids()
    await screener.close()
    assert gone(pid)
    assert failed(await screener.check("print(1)\n", DEFAULT))
    await screener.close()


async def test_a_process_ends_when_its_daemon_is_gone():
    process = await ScreenProcess.start(
        sys.executable, ProcessSettings(2**29, 20, build_screener_filter().program)
    )
    process._link.close()
    async with asyncio.timeout(5):
        await process._process.wait()
    await process.kill()


@pytest.mark.parametrize("python", ["/nonexistent/python", "/bin/false"])
async def test_an_interpreter_that_does_not_start(python):
    async with running(python=python) as screener:
        with pytest.raises(StartError, match="screener process did not start"):
            await screener.start()
        assert failed(await screener.check("print(1)\n", DEFAULT))


TOOL = ToolSpec("weather", "", '{"type": "object", "properties": {"city": {}}, "required": ["city"]}')


async def test_calls_of_a_session_s_tools_are_checked_with_its_own_signatures(screener):
    source = "weather(town='Paris')"
    other = dataclasses.replace(TOOL, parameters_json=TOOL.parameters_json.replace("city", "town"))
    verdict = await screener.check(source, DEFAULT, signatures=Signatures.of([TOOL]))
    assert [(one.rule, one.symbol) for one in verdict.findings] == [
        ("tool-arguments", "city"),
        ("tool-arguments", "town"),
    ]
    assert verdict.decision is Decision.DENY
    assert (
        await screener.check(source, DEFAULT, signatures=Signatures.of([other]))
    ).decision is Decision.ALLOW
    assert (await screener.check(source, DEFAULT)).decision is Decision.ALLOW, "no tools, no verdict on them"
    shadowed = Signatures.of([TOOL], ["weather"])
    assert (await screener.check(source, DEFAULT, signatures=shadowed)).decision is Decision.ALLOW
    assert await screener.check(source, DEFAULT, signatures=Signatures.of([TOOL])) is verdict


async def test_a_verdict_tells_what_a_snippet_leaves_behind_and_tools_it_does_not_name_cost_no_verdict(
    screener,
):
    verdict = await screener.check("x = 1\nimport math\n", DEFAULT)
    assert set(verdict.binds) == {"x", "math"}
    assert await screener.check("x = 1\nimport math\n", DEFAULT, signatures=Signatures.of([TOOL])) is verdict


@pytest.mark.parametrize(
    "form", [("weather",), ([1, 2, 3, 4, 5, 6],), (["weather", None, [], 0, 0, 0],), ([[], [], [], 0, 0, 0],)]
)
async def test_signatures_of_another_form_end_in_a_denial_and_the_next_text_is_screened(screener, form):
    lying = Signatures(form, (), "lying")
    verdict = await screener.check("weather(1); tools.x(); 1", DEFAULT, signatures=lying)
    assert failed(verdict)
    good = await screener.check("weather('Paris')", DEFAULT, signatures=Signatures.of([TOOL]))
    assert good.decision is Decision.ALLOW
