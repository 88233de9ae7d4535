"""`python -m sandboxd_client.demo`: write the workbook, let the agent work on it, check its answer, keep what it made.

Without a model's name it runs offline: the model's words come from `script.py`, everything else happens. Exit codes: 0
the answer is right, 1 it is wrong or there is none, 2 wrong usage, 3 the run could not begin.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxd_client import CodeAgent, OpenAICompatible, Sandbox, SandboxError, ScriptedModel
from sandboxd_client.agent import AgentOutcome
from sandboxd_client.agent.text import inert
from sandboxd_client.demo.check import differences, expected
from sandboxd_client.demo.script import PLOT, REPLIES, TASK
from sandboxd_client.demo.view import View
from sandboxd_client.demo.workbook import DataMissingError, packaged_csv, write_workbook

if TYPE_CHECKING:
    from sandboxd_client.agent import AgentResult

_PNG = b"\x89PNG\r\n\x1a\n"
_ENVIRONMENT = "data-science"
_MAX_STEPS = 12
_RIGHT, _WRONG, _NOT_BEGUN = 0, 1, 3


class DemoError(Exception):
    """The demonstration cannot go on."""


def main(arguments: list[str] | None = None) -> int:
    """Run the demonstration; return the exit code."""
    options = _parser().parse_args(arguments)
    view = View(sys.stdout)
    try:
        return run(options, view)
    except (SandboxError, DataMissingError, DemoError, OSError) as error:
        view.say(f"\nThe demonstration could not run: {inert(str(error))}")
        return _NOT_BEGUN


def run(options: argparse.Namespace, view: View) -> int:
    """Run the demonstration with parsed options."""
    output: Path = options.output
    output.mkdir(parents=True, exist_ok=True)
    table = options.table or packaged_csv()
    workbook = output / "weather.xlsx"
    view.say(f"Workbook: writing {workbook} ...")
    view.say(f"Workbook: {write_workbook(table, workbook):,} rows, {workbook.stat().st_size:,} bytes")
    _ensure_environment(view)
    model = OpenAICompatible(options.model, options.base_url) if options.model else ScriptedModel(REPLIES)
    with Sandbox(policy="data-science") as sandbox:
        agent = CodeAgent(model, sandbox, max_steps=_MAX_STEPS, on_event=view.event)
        result = agent.run(TASK, files=[workbook])
        plot = _read_plot(sandbox)
    wrong = differences(result.answer, expected(table)) if result.outcome is AgentOutcome.ANSWERED else []
    _report(result, wrong, view)
    _keep(result, plot, output, view)
    return _RIGHT if result.outcome is AgentOutcome.ANSWERED and not wrong and plot else _WRONG


def _parser() -> argparse.ArgumentParser:
    # No flag for the key: other users of the machine can read a process's arguments.
    environ = os.environ
    parser = argparse.ArgumentParser(
        prog="python -m sandboxd_client.demo",
        description="An agent answers a question about a real workbook through sandboxed code.",
        epilog="A live model's key comes from SANDBOXD_MODEL_API_KEY.",
    )
    parser.add_argument(
        "--output", type=Path, default=Path("demo-output"), metavar="DIR", help="where results go"
    )
    parser.add_argument("--table", type=Path, metavar="CSV", help="another table with the same columns")
    parser.add_argument(
        "--model",
        default=environ.get("SANDBOXD_MODEL", ""),
        metavar="NAME",
        help="ask this model instead of the script (default: SANDBOXD_MODEL)",
    )
    parser.add_argument(
        "--base-url",
        default=environ.get("SANDBOXD_MODEL_BASE_URL", "https://api.openai.com/v1"),
        metavar="URL",
        help="its chat completions endpoint (default: SANDBOXD_MODEL_BASE_URL)",
    )
    return parser


def _ensure_environment(view: View) -> None:
    """Make the packages available to sandboxes of the private daemon; a daemon that was named has its own.

    They go where `sandboxd env` always puts them. Beside the project they would be out of reach of a sandbox as soon as
    the project lies below /tmp, for a sandbox has a /tmp of its own.
    """
    if os.environ.get("SANDBOXD_ADDRESS"):
        return
    view.say(f"Environment: {_ENVIRONMENT} (made on first use, which takes about a minute)")
    command = [sys.executable, "-m", "sandboxd", "env", "create", _ENVIRONMENT, "--if-missing"]
    if subprocess.run(command, check=False).returncode:
        raise DemoError(f"environment {_ENVIRONMENT} could not be made; see above")


def _read_plot(sandbox: Sandbox) -> bytes:
    """Return the plot as the sandbox has it, or nothing where there is none: a file's name proves no image."""
    try:
        data = sandbox.files.read(PLOT, format="bytes")
    except SandboxError:
        return b""
    return data if data.startswith(_PNG) else b""


def _report(result: AgentResult, wrong: list[str], view: View) -> None:
    view.say(f"\nRun: {result.outcome} after {len(result.steps)} steps, {_tokens(result)}")
    if result.failure:
        view.say(f"Failure: {result.failure.code}: {inert(result.failure.message)}")
    if result.outcome is not AgentOutcome.ANSWERED:
        return
    view.say("Answer: correlation with visibility, strongest first")
    for name, value in _rows(result.answer):
        view.say(f"  {name:<12} {value:>9}")
    for difference in wrong:
        view.say(f"  WRONG {inert(difference)}")
    if not wrong:
        view.say("Check: pandas, outside of the sandbox, computes the same from the packaged table.")


def _rows(answer: Any) -> list[tuple[str, str]]:
    """Return the answer as lines; it is a claim and may be anything."""
    given = answer.get("correlations") if isinstance(answer, dict) else None
    if not isinstance(given, dict):
        return [("answer", inert(repr(answer))[:500])]
    return [
        (inert(str(name)), f"{value:+.4f}" if isinstance(value, int | float) else inert(repr(value))[:80])
        for name, value in given.items()
    ]


def _tokens(result: AgentResult) -> str:
    mark = " (estimated)" if result.usage.estimated else ""
    return f"{result.usage.input:,} tokens in, {result.usage.output:,} out{mark}"


def _keep(result: AgentResult, plot: bytes, output: Path, view: View) -> None:
    answer = output / "answer.json"
    answer.write_text(json.dumps(result.to_json()["answer"], indent=2) + "\n", encoding="utf-8")
    result.save(output / "run.json")
    kept = [answer, output / "run.json"]
    if plot:
        (output / PLOT).write_bytes(plot)
        kept.insert(0, output / PLOT)
    view.say("\nKept:")
    for path in kept:
        view.say(f"  {path.absolute()}")


if __name__ == "__main__":
    sys.exit(main())
