"""Through the real daemon: a snippet whose tool calls cannot bind is denied before anything of it runs, and says what would."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sandboxd_client import Outcome, Sandbox
from sandboxd_client.tools import Tool, tool

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from daemons import Daemon, StartDaemon

pytestmark = pytest.mark.userns


class Office:
    """The client's side: what was called."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def tools(self) -> list[Tool]:
        """Make the tools."""

        def weather(city: str, unit: str = "C") -> str:
            """Tell the weather.

            Args:
                city: where.
                unit: C or F.
            """
            self.called.append(city)
            return f"{city}: 7 {unit}"

        async def fetch(url: str) -> str:
            """Fetch a page.

            Args:
                url: which.
            """
            self.called.append(url)
            return url

        def wipe() -> None:
            """Wipe everything."""
            self.called.append("wiped")

        return [tool(weather), tool(fetch), tool(wipe, callers="direct")]


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def sandbox(daemon: Daemon, office: Office) -> Iterator[Sandbox]:
    with Sandbox("default", daemon.address, tools=office.tools()) as one:
        yield one


@pytest.mark.parametrize(
    ("call", "rule", "hint"),
    [
        (
            "tools.wether('Oslo')",
            "tool-unknown",
            "Do you mean weather? Tools: weather(city, unit=…), fetch(url).",
        ),
        ("weather(town='Oslo', city='Oslo')", "tool-arguments", "It is weather(city, unit=…)."),
        ("weather()", "tool-arguments", "It is weather(city, unit=…)."),
        ("weather('Oslo', 'C', 3)", "tool-arguments", "It is weather(city, unit=…)."),
        (
            "tools.wipe()",
            "tool-not-for-code",
            "Call it directly, as a tool call of its own, not inside a snippet.",
        ),
    ],
)
@pytest.mark.parametrize("policy", ["default", "pure"])
def test_a_call_that_cannot_bind_is_denied_before_anything_runs(
    daemon: Daemon, office: Office, *, policy: str, call: str, rule: str, hint: str
) -> None:
    with Sandbox(policy, daemon.address, tools=office.tools()) as sandbox:
        done = sandbox.run_code(f"x = weather('Oslo')\nprint(x)\n{call}")
        assert (done.outcome, done.evidence.code, done.stdout) == (Outcome.DENIED, rule, "")
        assert done.verdict is not None
        (finding,) = done.verdict.findings
        assert (finding.rule, finding.line, finding.hint) == (rule, 3, hint)
        assert (office.called, done.tool_calls) == ([], ())
        assert sandbox.run_code("weather('Paris')").text == "'Paris: 7 C'", (
            "the next try is as good as the first"
        )


def test_an_awaitable_that_is_thrown_away_runs_with_a_warning(sandbox: Sandbox) -> None:
    done = sandbox.run_code("fetch('a')\nawait fetch('b')")
    assert done.outcome is Outcome.OK
    assert done.verdict is not None
    assert [(one.rule, one.line, one.action) for one in done.verdict.findings] == [
        ("tool-not-awaited", 1, "warn")
    ]


def test_names_of_the_session_s_own_are_left_alone_also_in_clones(sandbox: Sandbox, office: Office) -> None:
    assert sandbox.run_code("weather()").outcome is Outcome.DENIED
    assert sandbox.run_code("def weather(): return 'mine'").ok
    assert sandbox.run_code("weather()").text == "'mine'"
    assert sandbox.run_code("tools.weather()").evidence.code == "tool-arguments", (
        "the object is still the tools'"
    )
    (clone,) = sandbox.fork(1)
    with clone:
        assert clone.run_code("weather()").text == "'mine'"
        assert clone.run_code("tools = {'x': 1}").ok
        assert clone.run_code("list(tools.items())").text == "[('x', 1)]"
    assert sandbox.run_code("tools.items()").evidence.code == "tool-unknown"
    assert office.called == []


def test_a_denied_snippet_takes_no_name(sandbox: Sandbox) -> None:
    assert sandbox.run_code("weather = 1\ntools.nothing()").outcome is Outcome.DENIED
    assert sandbox.run_code("weather()").evidence.code == "tool-arguments"


def test_tools_that_are_replaced_are_checked_by_their_new_signatures(sandbox: Sandbox) -> None:
    assert sandbox.run_code("weather(place='Oslo')").outcome is Outcome.DENIED

    def weather(place: str) -> str:
        """Tell it.

        Args:
            place: where.
        """
        return place

    sandbox.set_tools([tool(weather)])
    assert sandbox.run_code("weather(place='Oslo')").text == "'Oslo'"
    assert sandbox.run_code("weather(city='Oslo')").evidence.code == "tool-arguments"
    assert sandbox.run_code("tools.fetch('a')").evidence.code == "tool-unknown"


def test_a_policy_may_leave_it_to_the_call_itself(
    start_daemon: StartDaemon, office: Office, tmp_path: Path
) -> None:
    (tmp_path / "late.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: late, revision: 1}\nextends: default\n"
        "screen: {actions: {tool-unknown: warn, tool-arguments: audit}}\n"
    )
    daemon = start_daemon("--policy-dir", str(tmp_path))
    with Sandbox("late", daemon.address, tools=office.tools()) as sandbox:
        done = sandbox.run_code("print('began')\nweather()")
        assert (done.outcome, done.stdout) == (Outcome.ERROR, "began\n")
        assert done.error is not None
        assert done.error.name == "ToolArgumentsError"
        assert not sandbox.run_code("tools.wether").ok
    assert office.called == []


def test_a_check_of_the_policy_alone_knows_of_no_tools(sandbox: Sandbox) -> None:
    assert sandbox.check("tools.nothing(1)\nweather()").allowed
