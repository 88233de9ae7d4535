"""`PolicyService`: what policies allow, and verdicts without running anything."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1.sandbox_pb2_grpc import PolicyServiceServicer

from sandboxd.errors import Code, SandboxdError
from sandboxd.screen.engine.catalogue import RULES, Rule
from sandboxd.screen.pages import UnknownRuleError, find_rule, page_of
from sandboxd.service.convert import limits_message, verdict_message
from sandboxd.service.refusals import answering

if TYPE_CHECKING:
    from sandboxd.isolate import Isolation
    from sandboxd.policy import Policy, PolicySet
    from sandboxd.routing import Router
    from sandboxd.service.context import Context
    from sandboxd.service.peer import PeerNames


class PolicyService(PolicyServiceServicer):
    """Tells what policies say. Nothing here runs code."""

    def __init__(self, policies: PolicySet, router: Router, isolation: Isolation, peers: PeerNames) -> None:
        self._policies = policies
        self._router = router
        self._isolation = isolation
        self._peers = peers

    async def List(self, _request: pb.ListPoliciesRequest, context: Context) -> pb.ListPoliciesResponse:  # noqa: N802
        """List the policies that a session may name."""
        async with answering(context):
            self._peers.uid(context)
            found = [self._policies.get(name) for name in self._policies.names()]
            return pb.ListPoliciesResponse(policies=[self._summary(policy) for policy in found])
        raise AssertionError  # `answering` has raised

    async def Get(self, request: pb.GetPolicyRequest, context: Context) -> pb.GetPolicyResponse:  # noqa: N802
        """Tell what a policy really allows here."""
        async with answering(context):
            self._peers.uid(context)
            policy = self._policies.get(request.policy)
            environment = self._isolation.environment(policy)
            return pb.GetPolicyResponse(
                summary=self._summary(policy),
                limits=limits_message(policy.limits),
                grace_seconds=policy.limits.grace_seconds,
                allowed_imports=policy.screen.imports_allow,
                denied_builtins=policy.screen.builtins_deny,
                environment=environment.name,
                python_version=environment.python_version,
                packages=environment.packages,
                yaml=policy.yaml,
                screened=policy.screened,
                restricted=policy.restricted,
                executor=policy.executor,
                route_to=policy.route_to,
                tools_allow=policy.tools_allow,
                tools_deny=policy.tools_deny,
            )
        raise AssertionError  # `answering` has raised

    async def Check(self, request: pb.CheckRequest, context: Context) -> pb.CheckResponse:  # noqa: N802
        """Give the verdict of the screen, and the policy that would take what this one routes."""
        async with answering(context):
            self._peers.uid(context)
            policy = self._policies.get(request.policy)
            verdict = await self._router.check(request.code, policy, thorough=True)
            return pb.CheckResponse(verdict=verdict_message(verdict))
        raise AssertionError  # `answering` has raised

    async def Explain(self, request: pb.ExplainRequest, context: Context) -> pb.ExplainResponse:  # noqa: N802
        """Show the page of a rule of the screen, or list the rules."""
        async with answering(context):
            self._peers.uid(context)
            if not request.rule:
                return pb.ExplainResponse(rules=[_rule_page(rule) for rule in RULES.values()])
            try:
                rule = find_rule(request.rule)
            except UnknownRuleError as error:
                raise SandboxdError(
                    Code.INVALID_REQUEST,
                    "there is no such rule.",
                    remedy=f"Do you mean {' or '.join(error.near)}?"
                    if error.near
                    else "An empty name lists all.",
                ) from None
            return pb.ExplainResponse(rules=[_rule_page(rule, page_of(rule.name).markdown)])
        raise AssertionError  # `answering` has raised

    def _summary(self, policy: Policy) -> pb.PolicySummary:
        return pb.PolicySummary(
            name=policy.name,
            description=policy.description,
            digest=policy.digest,
            is_default=policy.name == self._policies.get("").name,
        )


def _rule_page(rule: Rule, markdown: str = "") -> pb.RulePage:
    return pb.RulePage(
        rule=rule.name,
        rule_id=rule.rule_id,
        summary=rule.summary,
        markdown=markdown,
        actions=sorted(rule.actions),
    )
