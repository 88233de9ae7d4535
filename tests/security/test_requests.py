"""The sample's items that are requests or that attack the client: each mapped to where it is tested, or driven here.

The wire contract has no field for some of them, which is the answer: what cannot be said cannot be asked for.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from attack import MARKER, sample
from rig import Rig, rig
from sandboxd_client import RefusedError, Sandbox, SandboxError
from sandboxd_proto.v1 import sandbox_pb2 as pb

pytestmark = [pytest.mark.userns, pytest.mark.timeout(120)]

TESTS = Path(__file__).parents[1]
HERE = "security/test_requests.py"
ELSEWHERE = {
    "API-003": f"{HERE}::test_odd_paths_are_refused_or_stored_as_they_are",
    "API-011": "integration/test_front_session.py::test_an_open_beyond_the_policy_is_refused",
    "API-012": f"{HERE}::test_what_may_not_be_asked_for_has_no_field",
    "API-014": f"{HERE}::test_what_may_not_be_asked_for_has_no_field",
    "API-015": f"{HERE}::test_what_may_not_be_asked_for_has_no_field",
    "API-017": f"{HERE}::test_what_may_not_be_asked_for_has_no_field",
    "API-019": "unit/test_identity.py::test_a_token_holds_160_random_bits_and_not_its_display_id",
    "API-020": "integration/test_front_session.py::test_a_forged_token_finds_nothing",
    "API-021": "integration/test_front_peers.py::test_records_carry_the_peers_uid_and_sessions_answer_to_it_alone",
    "API-022": f"{HERE}::test_a_source_above_every_limit_is_refused_and_costs_nothing",
    "API-025": "integration/test_front_session.py::test_a_session_ends_with_its_lease",
    "API-028": "integration/test_front_daemon.py::test_tcp_is_refused_before_anything_is_opened",
    "API-031": f"{HERE}::test_an_error_tells_nothing_of_the_host",
    "API-032": "unit/server/test_logs.py::test_a_value_forges_no_line_and_no_terminal",
    "API-033": f"{HERE}::test_what_may_not_be_asked_for_has_no_field",
    "API-034": f"{HERE}::test_text_that_breaks_parsers_is_an_error_of_its_own",
    "API-045": f"{HERE}::test_output_is_never_a_template",
    "CLI-001": "property/test_terminal_filter.py::test_nothing_that_drives_or_deceives_a_terminal_is_left",
    "CLI-002": "property/test_terminal_filter.py::test_nothing_that_drives_or_deceives_a_terminal_is_left",
    "CLI-005": "unit/client/test_client_gather.py::test_a_notebook_gets_markup_in_a_frame_that_runs_and_loads_nothing",
    "CLI-008": "unit/client/test_client_gather.py::test_types_that_lie_are_absent_or_replaced",
    "CLI-012": "unit/client/test_client_files.py::test_bytes_go_there_and_back",
}
# Nothing here yet that they could attack.
OF_LATER_PARTS = {
    "API-037": "the egress proxy", "API-038": "the egress proxy", "API-039": "the egress proxy",
    "CTR-014": "the container tier: it looks for cgroup files, which a box does not see",
}  # fmt: skip


@pytest.fixture(scope="module")
def running() -> Iterator[Rig]:
    with rig() as one:
        yield one


@pytest.fixture
def sandbox(running: Rig) -> Iterator[Sandbox]:
    with running.sandbox() as one:
        yield one


def test_each_item_has_its_place() -> None:
    items = {one.name for one in sample() if one.layer in {"daemon", "client"}}
    assert items == (ELSEWHERE.keys() | OF_LATER_PARTS.keys()) - {"CTR-014"}
    for place in ELSEWHERE.values():
        path, _, name = place.partition("::")
        names = {
            node.name
            for node in ast.walk(ast.parse((TESTS / path).read_text()))
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
        }
        assert name in names, place


def test_what_may_not_be_asked_for_has_no_field() -> None:
    said = {field.name for message in (pb.Open, pb.Execute, pb.Limits) for field in message.DESCRIPTOR.fields}
    assert said.isdisjoint(
        {"executor", "require", "image", "env", "environment", "network", "runtime", "user", "mounts"}
    )


def test_odd_paths_are_refused_or_stored_as_they_are(sandbox: Sandbox) -> None:
    refused = ["a\0b", "", ".", "a" * 5000, "a" * 256, "../x", "/etc/passwd", "a\nb", "\x1b[2J"]
    for path in refused:
        with pytest.raises((RefusedError, ValueError)):
            sandbox.files.write(path, b"x")
    for path in ("..\\x", "-rf"):
        sandbox.files.write(path, b"exact")
        assert sandbox.files.read(path, format="bytes") == b"exact"
    found = sandbox.run_code("import os; sorted(os.listdir('/work'))").text
    assert found == repr(["-rf", "..\\x"])


def test_a_source_above_every_limit_is_refused_and_costs_nothing(running: Rig, sandbox: Sandbox) -> None:
    sandbox.run_code("1")
    before = resident_kib(running)
    for _ in range(3):
        try:
            assert not sandbox.run_code("#" * (1 << 26)).ok
        except SandboxError:
            continue
    assert resident_kib(running) - before < 64 << 10
    assert sandbox.run_code("1 + 1").text == "2"


def resident_kib(running: Rig) -> int:
    status = Path(f"/proc/{running.daemon.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


def test_an_error_tells_nothing_of_the_host(running: Rig, sandbox: Sandbox) -> None:
    for code in ("raise Exception", "import nothing_there", "open('/nowhere')", "exec('(')", "1/0"):
        error = sandbox.run_code(code).error
        assert error is not None
        said = error.value + error.traceback
        assert "sandboxd" not in said, said
        assert str(running.base) not in said
        assert str(TESTS) not in said


@pytest.mark.parametrize(
    "code", ["\0", "\ufeffprint(1)", "x=" + "1" * 10**6, "\f" * 10**5, "(" * 5000, "'\\ud800'"]
)
def test_text_that_breaks_parsers_is_an_error_of_its_own(running: Rig, code: str) -> None:
    for policy in ("unscreened", "default"):
        with Sandbox(policy, running.daemon.address) as sandbox:
            try:
                assert sandbox.run_code(code).outcome.value in {"ok", "error", "denied"}
            except SandboxError as error:
                assert error.code not in {"INTERNAL", "INFRASTRUCTURE"}, error


def test_output_is_never_a_template(sandbox: Sandbox) -> None:
    text = "%s%n{0.__class__}{{7*7}}${7*7}"
    done = sandbox.run_code(f"print({text!r})\n{text!r}")
    assert done.stdout == text + "\n"
    assert done.text == repr(text)


def test_static_items_are_refused_by_the_screen_with_rule_and_line(running: Rig) -> None:
    golden = json.loads((TESTS / "corpus" / "screen_denied.json").read_text())["default"]
    items = {one.name: one for one in sample()}
    with Sandbox("default", running.daemon.address) as sandbox:
        for name, rule in golden.items():
            verdict = sandbox.check(items[name].code)
            assert not verdict.allowed, name
            assert verdict.findings[0].rule == rule, name
            assert verdict.findings[0].line >= 1, name
            done = sandbox.run_code(items[name].code)
            # Syntax of a later Python than this interpreter's is the program's own error.
            assert done.outcome.value == "denied" or (done.error and done.error.name == "SyntaxError"), name
            assert MARKER not in done.stdout, name
