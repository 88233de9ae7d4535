"""A one-shot's way to its policy: the only kind of work that moves, because it leaves nothing behind where it was.

It moves before anything of it exists: no session, slot, box or record. What is opened then is an ordinary session under the
policy that takes the source, and its snippet passes the pipeline as any other.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxd.events import Decision
from sandboxd.screen.tools import Signatures
from sandboxd.sessions.facts import check_timeout

if TYPE_CHECKING:
    from sandboxd.events import Verdict
    from sandboxd.policy import PolicySet
    from sandboxd.routing import Router
    from sandboxd.sessions.facts import ExecuteWish
    from sandboxd.sessions.wishes import OpenWish


@dataclass(frozen=True, slots=True)
class OneShot:
    """What a client wants opened and run; `verdict` says why it moved, None where it stays."""

    opening: OpenWish
    execute: ExecuteWish
    verdict: Verdict | None = None


async def route(wanted: OneShot, policies: PolicySet, router: Router) -> OneShot:
    """Send a one-shot to the policy that takes it, with limits no wider than it asked for and than both policies grant.

    Raises:
        SandboxdError: POLICY_*; LIMIT_ABOVE_POLICY and INVALID_REQUEST by the policy that was asked for: to be moved to a
            wider one must not be a way to get more than that grants.
    """
    opening, execute = wanted.opening, wanted.execute
    policy = policies.get(opening.policy)
    if not policy.route_to:
        return wanted
    limits = policy.narrow(opening.limits)
    check_timeout(execute.timeout_seconds, limits.wall_seconds)
    verdict = await router.check(execute.code, policy, signatures=Signatures.of(opening.tools))
    if verdict.decision is Decision.DENY:
        return dataclasses.replace(wanted, execute=dataclasses.replace(execute, denial=verdict))
    if verdict.decision is not Decision.ROUTE:
        return wanted
    target = policies.get(verdict.route_to)
    met = target.met(opening.limits)
    wall_seconds = met.get("wall_seconds", target.limits.wall_seconds)
    return OneShot(
        dataclasses.replace(opening, policy=target.name, limits=met, moved_from=(policy.name,)),
        dataclasses.replace(execute, timeout_seconds=min(execute.timeout_seconds, wall_seconds)),
        verdict,
    )
