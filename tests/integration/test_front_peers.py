"""Who is who: each record carries the peer's uid, and a session answers to the uid that opened it. Needs root."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import grpc
import pytest
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import connected, error_info, new_id

import sandboxd

pytestmark = [pytest.mark.root, pytest.mark.userns]
NOBODY = 65534
SOMEBODY = 65533

# It gives root up itself, once everything is imported: the interpreter may stand below a home closed to others.
CLIENT = """
import asyncio, encodings.idna, json, os, sys
from wire_client import connected, error_info, new_id
from sandboxd_proto.v1 import sandbox_pb2 as pb
import grpc

uid, gid = int(sys.argv.pop(1)), int(sys.argv.pop(1))
os.setgroups([])
os.setresgid(gid, gid, gid)
os.setresuid(uid, uid, uid)

async def main(address, token, execution_id):
    told = {}
    async with connected(address) as wire:
        try:
            stream = await wire.open()
            told["id"] = await stream.execute("print('mine')")
            told["outcome"] = (await stream.until_last())[-1].result.outcome
            told["token"], told["display_id"] = stream.opened.session_id, stream.opened.display_id
            told["record"] = (await wire.refusal(
                wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=execution_id)))).reason
            told["files"] = (await wire.refusal(
                wire.sandbox.ListFiles(pb.ListFilesRequest(session_id=token)))).reason
            told["listed"] = [one.display_id for one in (await wire.sandbox.ListOwn(pb.ListOwnRequest())).sessions]
            try:
                await wire.attach(token)
            except grpc.aio.AioRpcError as error:
                told["attach"] = error_info(error).reason
        except grpc.aio.AioRpcError as error:
            told["failed"] = error.code().name
    print(json.dumps(told))

asyncio.run(main(*sys.argv[1:]))
"""


def as_user(uid: int, gid: int, address: str, token: str = "t", execution_id: str = "") -> dict[str, object]:
    """Act as another user, in a process of its own."""
    paths = [*(path for path in sys.path if path), str(Path(__file__).parent)]
    ended = subprocess.run(
        [sys.executable, "-c", CLIENT, str(uid), str(gid), address, token, execution_id or new_id()],
        env={"PYTHONPATH": os.pathsep.join(paths), "PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads(ended.stdout)


@pytest.fixture
def service(short_dir):
    """A daemon as a service runs it: its socket is open to the group."""
    short_dir.chmod(0o755)
    address, admin = f"unix:{short_dir}/s/sandboxd.sock", f"unix:{short_dir}/s/admin.sock"
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "sandboxd", "serve", "--address", address, "--admin-address", admin),
            *("--state-dir", str(short_dir / "state"), "--durability", "write"),
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        stderr=subprocess.PIPE,
    )
    yield address, admin
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)


async def test_records_carry_the_peers_uid_and_sessions_answer_to_it_alone(service, short_dir):
    address, admin_address = service
    async with connected(address) as wire:
        await wire.policies.List(pb.ListPoliciesRequest(), wait_for_ready=True, timeout=20)
        mine = await wire.open()
        execution_id = await mine.execute("print('roots')")
        await mine.until_last()
        await mine.send(fork=pb.Fork(count=1))
        (clone,) = (await mine.event("forked")).forked.clones
        theirs = as_user(NOBODY, 0, address, mine.opened.session_id, execution_id)
        assert theirs["outcome"] == pb.OUTCOME_OK
        assert theirs["record"] == "EXECUTION_NOT_FOUND"
        assert (theirs["files"], theirs["attach"]) == ("SESSION_NOT_FOUND", "SESSION_NOT_FOUND")
        assert theirs["listed"] == [theirs["display_id"]], "sessions and clones of others are not there"
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.attach(theirs["token"])
        assert error_info(caught.value).reason == "SESSION_NOT_FOUND"
        info = await wire.refusal(
            wire.sandbox.GetExecution(pb.GetExecutionRequest(execution_id=theirs["id"]))
        )
        assert info.reason == "EXECUTION_NOT_FOUND"
        mine.cut()
    async with connected(admin_address) as admin:
        sessions = (await admin.admin.ListSessions(pb.ListSessionsRequest())).sessions
        forked_from = {one.display_id: one.forked_from for one in sessions}
        assert forked_from[clone.display_id] == mine.opened.display_id
        assert {one.display_id: one.uid for one in sessions}[theirs["display_id"]] == NOBODY
    lines = [
        json.loads(line)
        for path in sorted((short_dir / "state" / "log").glob("*"))
        for line in path.read_text().splitlines()
    ]
    uids = {line["execution_id"]: line["uid"] for line in lines if line["kind"] == "execution_intent"}
    assert (uids[execution_id], uids[theirs["id"]]) == (0, NOBODY)


def test_the_group_does_not_reach_administration(service):
    address, admin = service
    until = time.monotonic() + 20
    while not Path(address.removeprefix("unix:")).exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert as_user(NOBODY, 0, admin) == {"failed": "UNAVAILABLE"}


def others_may_run(interpreter: str) -> bool:
    real = Path(interpreter).resolve()
    return all(place.stat().st_mode & 0o001 for place in (real, *real.parents))


def interpreter_for_others() -> str:
    """Return an interpreter of our version that another user can run: ours, or else the system's."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [sys.executable, shutil.which(name, path="/usr/local/bin:/usr/bin") or ""]
    return next((path for path in candidates if path and others_may_run(path)), "")


@pytest.mark.skipif(
    not (interpreter_for_others() and others_may_run(str(Path(sandboxd.__file__).parent))),
    reason="interpreter or tree stand where other users may not enter",
)
def test_two_users_do_not_reach_each_others_embedded_daemon(start_daemon, short_dir):
    short_dir.chmod(0o755)
    home = short_dir / "home"
    home.mkdir(mode=0o755)
    os.chown(home, NOBODY, NOBODY)
    daemon = start_daemon(
        *("--environments-dir", str(home / "environments")),
        state="home/state",
        run="home/run",
        user=NOBODY,
        group=NOBODY,
        extra_groups=[],
        python=interpreter_for_others(),
    )
    assert not daemon.error, daemon.error
    assert as_user(NOBODY, NOBODY, daemon.address)["outcome"] == pb.OUTCOME_OK
    assert as_user(SOMEBODY, SOMEBODY, daemon.address) == {"failed": "UNAVAILABLE"}


def test_an_embedded_daemon_serves_its_own_user_even_where_the_files_let_others_in(start_daemon, short_dir):
    short_dir.chmod(0o755)
    daemon = start_daemon()
    daemon.runtime_dir.chmod(0o755)
    Path(daemon.address.removeprefix("unix:")).chmod(0o666)
    assert as_user(NOBODY, NOBODY, daemon.address) == {"failed": "UNAVAILABLE"}
    assert "connection shut out" in daemon.logged()


def test_the_private_socket_is_not_for_others(start_daemon, short_dir):
    short_dir.chmod(0o755)
    daemon = start_daemon()
    daemon.runtime_dir.chmod(0o755)
    behind = daemon.runtime_dir / ".sandboxd.sock.d" / "grpc"
    assert as_user(NOBODY, 0, f"unix:{behind}") == {"failed": "UNAVAILABLE"}


async def test_who_comes_past_the_acceptor_of_a_service_is_refused(service, short_dir):
    """The daemon's own user can enter the private directory; without a name it gets nothing."""
    address, _ = service
    async with connected(address) as wire:
        await wire.policies.List(pb.ListPoliciesRequest(), wait_for_ready=True, timeout=20)
    behind = short_dir / "s" / ".sandboxd.sock.d" / "grpc"
    assert as_user(0, 0, f"unix:{behind}") == {"failed": "PERMISSION_DENIED"}


def test_the_way_past_an_embedded_daemon_s_acceptor_is_its_own_user_s_alone(start_daemon, short_dir):
    short_dir.chmod(0o755)
    daemon = start_daemon()
    assert daemon.own_address
    assert as_user(0, 0, daemon.own_address)["outcome"] == pb.OUTCOME_OK
    daemon.runtime_dir.chmod(0o755)
    assert as_user(NOBODY, 0, daemon.own_address) == {"failed": "UNAVAILABLE"}, "its directory is 0700 too"
