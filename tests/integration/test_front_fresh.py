"""Fresh processes and the pool, as clients and operators see them, through the real daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from mutants import Edit, make_mutant
from sandboxd_client import NotStartedError, Sandbox
from sandboxd_proto.v1 import sandbox_pb2 as pb
from wire_client import Wire, connected, stdout

pytestmark = pytest.mark.userns

HEAD = "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: {}}}\nextends: default\n"
OWN = ("own_address_layout", "own_hash_seed")
SEED = "print(hash('any text'))"


@pytest.fixture
def policies(tmp_path: Path) -> Path:
    (tmp_path / "own.yaml").write_text(
        HEAD.format("own") + "isolate: {fresh: true, require: [own_hash_seed]}\n"
    )
    (tmp_path / "needs.yaml").write_text(HEAD.format("needs") + "isolate: {require: [own_address_layout]}\n")
    return tmp_path


def own(protections: object) -> set[str]:
    return {row.name for row in protections if row.active and row.name in OWN}  # type: ignore[attr-defined]


async def pools(admin: Wire) -> dict[tuple[str, bool], pb.PoolStats]:
    stats = await admin.admin.Stats(pb.StatsRequest())
    return {(one.environment, one.fresh): one for one in stats.pools}


@pytest.mark.asyncio
async def test_a_policy_or_a_request_demands_a_process_of_its_own(start_daemon, policies):
    daemon = start_daemon("--policy-dir", str(policies))
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        async with asyncio.timeout(10):
            while (await pools(admin))["base", False].waiting < 2:
                await asyncio.sleep(0.02)
        streams = [await wire.open(**wish) for wish in ({"policy": "own"}, {"fresh": True}, {}, {})]
        assert [own(stream.opened.protections) for stream in streams] == [set(OWN), set(OWN), set(), set()]
        seeds = [stdout(await stream.run(SEED)) for stream in streams]
        assert len(set(seeds[:3])) == 3
        assert seeds[2] == seeds[3]
        assert [stream.opened.pooled for stream in streams[2:]] == [True, True]
        counted = await pools(admin)
        assert counted["base", False].hits == 2
        assert counted["base", False].sandboxes == 2
        fresh = counted["base", True]
        assert fresh.hits + fresh.joined + fresh.misses == 2
        assert fresh.build_median_seconds > 0
        info = await wire.policies.Get(pb.GetPolicyRequest(policy="own"))
        assert "fresh: true" in info.yaml


def test_the_client_asks_for_one_and_is_refused_where_its_own_is_required_and_not_given(
    start_daemon, policies
):
    daemon = start_daemon("--policy-dir", str(policies))
    with pytest.raises(NotStartedError, match="own_address_layout") as refused:
        Sandbox("needs", daemon.address).open()
    assert "isolate.fresh" in str(refused.value)
    with Sandbox("needs", daemon.address, fresh=True) as sandbox:
        assert sandbox.run_code("6 * 7").text == "42"
        assert own(sandbox.info.protections) == set(OWN)


@pytest.mark.asyncio
async def test_the_pool_follows_the_demand_both_ways(start_daemon, tmp_path):
    mutant = make_mutant(
        tmp_path / "tree", [Edit("launcher/pool.py", "LOOK_SECONDS = 15.0", "LOOK_SECONDS = 0.2")]
    )
    daemon = start_daemon(tree=mutant)
    async with connected(daemon.address) as wire, connected(daemon.admin_address) as admin:
        largest = 0
        for _ in range(3):
            streams = await asyncio.gather(*(wire.open() for _ in range(6)))
            for stream in streams:
                stream.cut()
            await asyncio.sleep(0.1)
            largest = max(largest, (await pools(admin))["base", False].target)
        assert 4 <= largest <= 8
        async with asyncio.timeout(10):
            while (now := (await pools(admin))["base", False]).target > 2 or now.waiting > 2:
                await asyncio.sleep(0.05)
