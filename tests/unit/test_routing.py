"""Where a source may run: the first target whose screen passes it, one hop, never a weaker one."""

from __future__ import annotations

import dataclasses

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.events import Decision, Finding, Verdict
from sandboxd.policy import PolicySet
from sandboxd.routing import Router
from sandboxd.sessions import ExecuteWish, OneShot, OpenWish, route

ROUTED = Finding("import-not-allowed", "SBX301", "error", "no", hint="Use x.", action="route")


class Screen:
    """Gives each policy its decision; says whom it was asked for."""

    def __init__(self, **decisions: Decision) -> None:
        self.decisions = {name.replace("_", "-"): decision for name, decision in decisions.items()}
        self.asked: list[str] = []

    async def check(self, code, policy, *, thorough=False, signatures=None) -> Verdict:
        self.asked.append(policy.name)
        decision = self.decisions[policy.name]
        findings = (ROUTED,) if decision is Decision.ROUTE else ()
        return Verdict(decision, findings, policy=policy.name)


@pytest.fixture
def policies() -> PolicySet:
    return PolicySet.load(None, default="default", allow_unscreened=True)


@pytest.mark.parametrize("decision", [Decision.ALLOW, Decision.WARN])
async def test_what_passes_names_the_weakest_tier(policies, decision):
    router = Router(Screen(pure=decision, default=decision), policies)
    assert (await router.check("1", policies.get("pure"))).min_tier == "restricted"
    assert (await router.check("1", policies.get("default"))).min_tier == "process"


async def test_a_denial_names_no_tier_and_asks_nobody_else(policies):
    screen = Screen(pure=Decision.DENY)
    verdict = await Router(screen, policies).check("1", policies.get("pure"))
    assert (verdict.decision, verdict.min_tier, verdict.route_to) == (Decision.DENY, "", "")
    assert screen.asked == ["pure"]


async def test_the_first_target_that_passes_takes_it(policies):
    screen = Screen(pure=Decision.ROUTE, default=Decision.DENY, data_science=Decision.WARN)
    verdict = await Router(screen, policies).check("1", policies.get("pure"))
    assert (verdict.decision, verdict.route_to, verdict.min_tier) == (
        Decision.ROUTE,
        "data-science",
        "process",
    )
    assert verdict.policy == "pure", "the findings are this policy's"
    assert verdict.findings[0].hint == "Use x. Policy data-science takes it."
    assert screen.asked == ["pure", "default", "data-science"]


async def test_a_target_that_would_route_on_does_not_take_it(policies):
    screen = Screen(pure=Decision.ROUTE, default=Decision.ROUTE, data_science=Decision.DENY)
    verdict = await Router(screen, policies).check("1", policies.get("pure"))
    assert (verdict.decision, verdict.route_to, verdict.min_tier) == (Decision.DENY, "", "")
    assert verdict.findings == (ROUTED,), "the same findings"
    assert screen.asked == ["pure", "default", "data-science"]


async def test_a_target_that_could_not_be_asked_is_told_and_ends_the_search(policies):
    failed = Finding("screen-failed", "SBX901", "error", "not screened")

    class Failing(Screen):
        async def check(self, code, policy, *, thorough=False, signatures=None) -> Verdict:
            verdict = await super().check(code, policy, thorough=thorough)
            return dataclasses.replace(verdict, findings=(failed,)) if policy.name == "default" else verdict

    screen = Failing(pure=Decision.ROUTE, default=Decision.DENY, data_science=Decision.ALLOW)
    verdict = await Router(screen, policies).check("1", policies.get("pure"))
    assert (verdict.decision, verdict.route_to, verdict.policy) == (Decision.DENY, "", "pure")
    assert verdict.findings == (failed, ROUTED), "not a rule of the text's alone: to send it again may help"
    assert screen.asked == ["pure", "default"]


async def test_a_weaker_target_is_passed_over_also_when_one_was_loaded(policies):
    screen = Screen(pure=Decision.ROUTE, default=Decision.ALLOW, data_science=Decision.ALLOW)
    strong = dataclasses.replace(policies.get("pure"), fresh=True)
    assert (await Router(screen, policies).check("1", strong)).decision is Decision.DENY
    assert screen.asked == ["pure"]


# ---- one-shots


def wanted(policy="pure", timeout=0.0, **limits) -> OneShot:
    return OneShot(
        OpenWish(policy=policy, limits=limits, fresh=True, labels={"a": "b"}),
        ExecuteWish(0, "execution-1", "1", timeout),
    )


@pytest.fixture
def router(policies) -> Router:
    return Router(Screen(pure=Decision.ROUTE, default=Decision.ALLOW, data_science=Decision.ALLOW), policies)


async def test_a_one_shot_that_passes_or_is_denied_stays_as_it_is(policies):
    for decision in (Decision.ALLOW, Decision.WARN):
        shot = wanted()
        assert await route(shot, policies, Router(Screen(pure=decision), policies)) is shot
    denied = await route(wanted(), policies, Router(Screen(pure=Decision.DENY), policies))
    assert denied.execute.denial is not None
    assert dataclasses.replace(denied, execute=dataclasses.replace(denied.execute, denial=None)) == wanted()


async def test_a_policy_without_routes_costs_a_one_shot_no_screening(policies):
    screen = Screen()
    shot = wanted("default", timeout=1e6)
    assert await route(shot, policies, Router(screen, policies)) is shot
    assert screen.asked == []


async def test_a_one_shot_moves_with_all_it_asked_for(policies, router):
    moved = await route(wanted(timeout=2.0, wall_seconds=5, memory_bytes=2**26), policies, router)
    assert (moved.opening.policy, moved.opening.fresh, moved.opening.labels) == ("default", True, {"a": "b"})
    assert moved.opening.limits == {"wall_seconds": 5, "memory_bytes": 2**26}
    assert (moved.execute.timeout_seconds, moved.execute.execution_id) == (2.0, "execution-1")
    assert moved.verdict.route_to == "default"


async def test_what_it_asked_for_never_exceeds_the_target(policies, router, tmp_path):
    (tmp_path / "small.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: small}\nextends: default\nlimits: {wall: 1s, pids: 4}\n"
    )
    (tmp_path / "wide.yaml").write_text(
        "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {name: wide}\nextends: pure\nroute: {to: [small]}\n"
    )
    here = PolicySet.load(tmp_path, default="default", allow_unscreened=False)
    screen = Screen(wide=Decision.ROUTE, small=Decision.ALLOW)
    moved = await route(wanted("wide", timeout=9.0, pids=10), here, Router(screen, here))
    assert (moved.opening.limits, moved.execute.timeout_seconds) == ({"pids": 4}, 1.0)


@pytest.mark.parametrize("ask", [{"wall_seconds": 20}, {"memory_bytes": 2**30}, {"pids": 40}])
async def test_a_request_above_its_own_policy_is_refused_though_the_target_grants_it(policies, router, ask):
    with pytest.raises(SandboxdError) as caught:
        await route(wanted(**ask), policies, router)
    assert caught.value.code is Code.LIMIT_ABOVE_POLICY


async def test_a_timeout_above_its_own_policy_is_refused_too(policies, router):
    for shot in (wanted(timeout=20.0), wanted(timeout=3.0, wall_seconds=2)):
        with pytest.raises(SandboxdError) as caught:
            await route(shot, policies, router)
        assert caught.value.code is Code.LIMIT_ABOVE_POLICY
