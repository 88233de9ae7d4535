"""Where a snippet may run: the screen's verdict, completed with the weakest tier and the policy that would take it.

A policy says of some rules that breaking them needs a stronger tier (`route`), and which policies may take such a snippet
(`route.to`). The first of these whose own screen passes the source takes it; a target that would route it on does not, so
there is one hop and no circle. None takes it: the verdict is `deny`, with the same findings. So too where a target's screen
fails: the search ends there, and the verdict says why.

Three things make routing safe. A policy never loads whose targets isolate less than itself (`Policy.weakness_of`), and
that is asked again here. A request may only narrow: it is held to its own policy first, then to the smaller of what it
asked for and what the target grants. And routing decides nothing about running: whoever opened a box under the target
takes the one way through the pipeline, which screens under the policy that runs. So no record, slot or sandbox exists for a
snippet before its policy is known, and its intent names that policy.

Only a one-shot moves. A session has variables where it is, so it stays, and its verdict names where to go.
"""

from __future__ import annotations

import dataclasses
import functools
import logging
from typing import TYPE_CHECKING

from sandboxd.events import Decision, Verdict
from sandboxd.screen import PASSING, SCREEN_FAILED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sandboxd.events import Finding
    from sandboxd.policy import Policy, PolicySet
    from sandboxd.screen import Screener
    from sandboxd.screen.tools import Signatures

_logger = logging.getLogger(__name__)


class Router:
    """Gives verdicts that say where a source may run. Belongs to the event loop of its screener."""

    def __init__(self, screener: Screener, policies: PolicySet) -> None:
        self._screener = screener
        self._policies = policies

    async def check(
        self, code: str, policy: Policy, *, thorough: bool = False, signatures: Signatures | None = None
    ) -> Verdict:
        """Return the verdict on a source under a policy; never raises for what the source is.

        Args:
            code: the text.
            policy: whose rules hold.
            thorough: report also what only the compiler finds.
            signatures: of the session's tools, where it has some: they go with a snippet that moves.
        """
        screen = functools.partial(self._screener.check, code, thorough=thorough, signatures=signatures)
        verdict = await screen(policy)
        if verdict.decision in PASSING:
            return dataclasses.replace(verdict, min_tier=policy.min_tier)
        if verdict.decision is not Decision.ROUTE:
            return verdict
        taker, failed = await self._taker(policy, screen)
        if taker is None:
            return dataclasses.replace(verdict, decision=Decision.DENY, findings=failed + verdict.findings)
        return dataclasses.replace(
            verdict,
            route_to=taker.name,
            min_tier=taker.min_tier,
            findings=tuple(_with_taker(finding, taker.name) for finding in verdict.findings),
        )

    async def _taker(
        self, policy: Policy, screen: Callable[[Policy], Awaitable[Verdict]]
    ) -> tuple[Policy | None, tuple[Finding, ...]]:
        """Return who takes it, or None and what kept that from being known: a denial for another cause must say so."""
        for name in policy.route_to:
            target = self._policies.get(name)
            weakness = policy.weakness_of(target)
            if weakness:  # no policy loads like this: a defect of ours, and it must not move a snippet
                _logger.error("route refused", extra={"policy": policy.name, "reason": weakness})
                continue
            verdict = await screen(target)
            if verdict.decision in PASSING:
                return target, ()
            failed = tuple(finding for finding in verdict.findings if finding.rule == SCREEN_FAILED)
            if failed:  # the order is a preference: not knowing about one is no reason for the next
                return None, failed
        return None, ()


def _with_taker(finding: Finding, name: str) -> Finding:
    """Say in the hint who takes it: to a model the hint is what to do next."""
    if finding.action != "route" or f"policy {name}" in finding.hint.lower():
        return finding
    return dataclasses.replace(finding, hint=f"{finding.hint} Policy {name} takes it.".lstrip())
