"""Containers through the real daemon: policy to tier, tools and files by the client, refusals with their remedy."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemons import Daemon, end_daemon_process, start_daemon_process
from engine import OwnEngine
from sandboxd_client import NotStartedError, OneShot, Outcome, Sandbox

pytestmark = pytest.mark.timeout(300)
HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"
POLICIES = {
    "in-runc": "extends: unscreened\nscreen: {enabled: false}\nisolate: {executor: runc}\nlimits: {memory: {enforce: total}}\n",
    "in-runsc": "extends: unscreened\nscreen: {enabled: false}\nisolate: {executor: runsc}\nlimits: {memory: {enforce: total}}\n",
    "remapped": "extends: default\nisolate: {executor: runc, require: [user_namespace]}\n",
    "default-in-runc": "extends: default\nisolate: {executor: runc}\n",
    "no-image": "extends: untrusted\nisolate: {environment: not-built}\n",
}


@pytest.fixture(scope="module")
def container_daemon(engine: OwnEngine) -> Iterator[Daemon]:
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    policies = base / "policies"
    policies.mkdir()
    for name, text in POLICIES.items():
        (policies / f"{name}.yaml").write_text(HEAD.format(name=name) + text)
    flags = ["--engine-socket", str(engine.socket), "--images-dir", str(engine.images), "--allow-unscreened"]
    running = start_daemon_process(base / "run", base / "state", *flags, "--policy-dir", str(policies))
    try:
        assert not running.error, running.error
        yield running
    finally:
        end_daemon_process(running)
        shutil.rmtree(base, ignore_errors=True)


def sandbox(daemon: Daemon, policy: str) -> Sandbox:
    return Sandbox(address=daemon.address, policy=policy)


@pytest.mark.parametrize("policy", ["in-runc", "default-in-runc", "in-runsc", "untrusted"])
def test_a_session_runs_where_its_policy_says(container_daemon: Daemon, policy: str) -> None:
    with sandbox(container_daemon, policy) as box:
        box.run_code("x = 41")
        execution = box.run_code("print('hello'); x + 1")
        assert (execution.outcome, execution.text, execution.logs.stdout) == (Outcome.OK, "42", ["hello\n"])
        protections = {one.name: one.active for one in box.info.protections}
        assert {protections["own_kernel"], protections["user_namespace"]} == {"runc" not in policy}
        assert protections["cgroup_memory"]
        box.files.write("data.txt", b"content")
        assert box.run_code("open('data.txt').read()").text == "'content'"
        box.run_code("open('out.txt', 'w').write('y' * 100000)")
        assert box.files.read("out.txt") == "y" * 100000


@pytest.mark.parametrize("policy", ["in-runc", "in-runsc"])
def test_code_calls_the_client_s_tools_from_there(container_daemon: Daemon, policy: str) -> None:
    def double(value: int) -> int:
        """Return twice the value."""
        time.sleep(0.2)
        return 2 * value

    with Sandbox(address=container_daemon.address, policy=policy, tools=[double]) as box:
        execution = box.run_code("double(double(5))")
        assert (execution.outcome, execution.text) == (Outcome.OK, "20")
        assert [one.tool for one in execution.tool_calls] == ["double", "double"]


def test_one_shots_run_there_too(container_daemon: Daemon) -> None:
    one_shot = OneShot(address=container_daemon.address, policy="untrusted")
    assert one_shot.run("1 + 1").text == "2"


def test_a_screened_policy_is_screened_there_as_elsewhere(container_daemon: Daemon) -> None:
    with sandbox(container_daemon, "untrusted") as box:
        refused = box.run_code("import socket")
        assert refused.outcome == Outcome.DENIED


@pytest.mark.parametrize(
    ("policy", "code", "remedy"),
    [
        ("remapped", "PROTECTION_MISSING", "user_namespace"),
        ("no-image", "ENVIRONMENT_NOT_FOUND", "image build not-built"),
    ],
)
def test_what_is_lacking_is_named_and_nothing_weaker_runs(
    container_daemon: Daemon, policy: str, code: str, remedy: str
) -> None:
    with pytest.raises(NotStartedError) as refused:
        sandbox(container_daemon, policy).run_code("1")
    assert refused.value.code == code
    assert remedy in str(refused.value)


def test_without_an_engine_untrusted_is_refused_with_the_remedy(engine: OwnEngine) -> None:
    base = Path(tempfile.mkdtemp(prefix="sandboxd-test-"))
    flags = ["--engine-socket", str(base / "no-engine.sock"), "--images-dir", str(engine.images)]
    running = start_daemon_process(base / "run", base / "state", *flags)
    try:
        with pytest.raises(NotStartedError) as refused:
            sandbox(running, "untrusted").run_code("1")
        assert refused.value.code == "EXECUTOR_UNAVAILABLE"
        assert "doctor" in str(refused.value)
        with Sandbox(address=running.address) as box:
            assert box.run_code("1 + 1").text == "2"
    finally:
        end_daemon_process(running)
        shutil.rmtree(base, ignore_errors=True)
