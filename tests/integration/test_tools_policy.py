"""What a policy says of tools holds wherever the code runs: after a route, in what is told of it, for a client that asks for more."""

from __future__ import annotations

import grpc
import pytest
from daemons import Daemon, StartDaemon
from sandboxd_proto.v1 import sandbox_pb2 as pb
from tool_desk import Desk, spec, states, write_policy
from wire_client import connected, error_info, new_id

pytestmark = pytest.mark.userns
POLICIES = {
    # `list` as a name of a computed template: `tight` does not run that and routes it, `wide` runs it.
    "tight": "extends: default\nscreen: {attributes: {format: route}}\nroute: {to: [wide]}\n"
    "limits: {tool_timeout: 500ms}\ntools: {deny: [erase], arguments: {read: {path: {prefix: /a/}}}}\n",
    "wide": "extends: default\nscreen: {attributes: {format: warn}}\nlimits: {tool_timeout: 500ms}\n",
    "none": "extends: default\nlimits: {tool_calls: 0}\n",
    "no-time": "extends: default\nlimits: {tool_wait: 0s}\n",
    "closed": "extends: default\ntools: {deny: ['*']}\n",
}
PATH = {"type": "object", "properties": {"path": {"type": "string"}}}
SPECS = [spec("erase"), spec("read", PATH)]
CODE = """
template = "{" + "0.real}"
shown = template.format(1)
codes = []
for call in (lambda: erase(), lambda: read("/b/1"), lambda: read("/a/1")):
    try:
        codes.append(call())
    except ToolError as error:
        codes.append(error.code)
codes
"""


@pytest.fixture(scope="module")
def house(start_module_daemon: StartDaemon, tmp_path_factory: pytest.TempPathFactory) -> Daemon:
    policies = tmp_path_factory.mktemp("policies")
    for name, text in POLICIES.items():
        write_policy(policies, name, text)
    daemon = start_module_daemon("--policy-dir", str(policies))
    assert not daemon.error, daemon.error
    return daemon


@pytest.mark.parametrize(
    ("policy", "codes"),
    [("tight", ["TOOL_DENIED", "TOOL_DENIED", "TOOL_TIMEOUT"]), ("wide", ["TOOL_TIMEOUT"] * 3)],
)
async def test_a_route_gains_no_tool(house: Daemon, policy: str, codes: list[str]) -> None:
    async with connected(house.address) as wire:
        request = pb.RunRequest(
            open=pb.Open(policy=policy, tools=SPECS), execute=pb.Execute(execution_id=new_id(), code=CODE)
        )
        events = [
            one
            for event in [part async for part in wire.sandbox.Run(request)]
            for one in (event, *event.more)
        ]
        opened = next(one.opened for one in events if one.WhichOneof("event") == "opened")
        assert opened.policy == "wide", "it ran under the wider policy"
        assert ("erase" in opened.tools_allowed) == (policy == "wide")
        assert events[-1].result.text == str(codes), events[-1].result


async def test_a_policy_tells_its_patterns(house: Daemon) -> None:
    async with connected(house.address) as wire:
        told = await wire.policies.Get(pb.GetPolicyRequest(policy="tight"))
        assert (list(told.tools_allow), list(told.tools_deny)) == (["*"], ["erase"])
        assert "prefix: /a/" in told.yaml
        assert told.limits.tool_seconds == 0.5


@pytest.mark.parametrize(
    ("policy", "code"), [("none", "TOOL_BUDGET"), ("no-time", "TOOL_BUDGET"), ("closed", "TOOL_DENIED")]
)
async def test_a_policy_without_tools_lets_none_through(house: Daemon, policy: str, code: str) -> None:
    async with connected(house.address) as wire:
        desk = Desk(await wire.open(policy=policy, tools=SPECS), {})
        result = await desk.run(
            "try:\n    read('/a/1')\nexcept ToolError as error:\n    final_answer(error.code)"
        )
        assert result.final_answer.json == f'"{code}"'
        assert states(result) == ["denied"]
        assert not desk.calls


@pytest.mark.parametrize("name", ["tool_calls", "tool_bytes", "tool_seconds", "tool_wait_seconds"])
async def test_a_client_may_not_ask_for_more(house: Daemon, name: str) -> None:
    async with connected(house.address) as wire:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await wire.open(policy="wide", tools=SPECS, limits=pb.Limits(**{name: 10**9}))
        assert error_info(caught.value).reason == "LIMIT_ABOVE_POLICY"


async def test_a_wrong_specification_refuses_the_open(house: Daemon) -> None:
    async with connected(house.address) as wire:
        for wrong in (
            spec("eval"),
            spec("x", "{"),
            spec("x", '{"type":"object","properties":{"a":{"pattern":"b"}}}'),
            spec("x", callers=77),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await wire.open(policy="wide", tools=[SPECS[0], wrong])
            info = error_info(caught.value)
            assert (info.reason, info.metadata["tool"]) == ("TOOL_INVALID", wrong.name)
