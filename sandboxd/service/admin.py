"""`AdminService`: served on the admin socket (0600) alone. Lists show display ids, never the capability."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING

from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1.sandbox_pb2_grpc import AdminServiceServicer

from sandboxd import __version__
from sandboxd.doctor import Check, examine
from sandboxd.service.convert import summary_message
from sandboxd.service.refusals import answering

if TYPE_CHECKING:
    from sandboxd.config import Config
    from sandboxd.isolate import Isolation
    from sandboxd.log import Log
    from sandboxd.pipeline import Pipeline
    from sandboxd.quota import Admission
    from sandboxd.service.context import Context
    from sandboxd.service.peer import PeerNames
    from sandboxd.sessions import Sessions

_REASON_MAX = 200
_STATUS = {
    "ok": pb.CHECK_STATUS_OK,
    "degraded": pb.CHECK_STATUS_DEGRADED,
    "missing": pb.CHECK_STATUS_MISSING,
    "unknown": pb.CHECK_STATUS_UNKNOWN,
}


class AdminService(AdminServiceServicer):
    """Shows operators what the daemon does, and stops sessions."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        admission: Admission,
        pipeline: Pipeline,
        isolation: Isolation,
        log: Log,
        config: Config,
        incarnation: str,
        peers: PeerNames,
    ) -> None:
        self._sessions = sessions
        self._admission = admission
        self._pipeline = pipeline
        self._isolation = isolation
        self._log = log
        self._config = config
        self._incarnation = incarnation
        self._peers = peers
        self._started = time.monotonic()

    async def Stats(self, _request: pb.StatsRequest, context: Context) -> pb.StatsResponse:  # noqa: N802
        """Count what is open, running and done."""
        async with answering(context):
            self._peers.uid(context)
            admission, outcomes = self._admission, self._pipeline.outcomes
            return pb.StatsResponse(
                version=__version__,
                uptime_seconds=time.monotonic() - self._started,
                sessions=admission.sessions,
                running=admission.running,
                queued=admission.queued,
                executions_total=sum(outcomes.values()),
                outcomes={outcome.value: count for outcome, count in outcomes.items()},
                log_bytes=self._log.size_bytes,
                max_sessions=admission.bounds.max_sessions,
                max_concurrent=admission.bounds.max_concurrent,
                max_queue=admission.bounds.max_queue,
                incarnation=self._incarnation,
                pools=[pb.PoolStats(**dataclasses.asdict(one)) for one in await self._isolation.pools()],
            )
        raise AssertionError  # `answering` has raised

    async def ListSessions(  # noqa: N802
        self, _request: pb.ListSessionsRequest, context: Context
    ) -> pb.ListSessionsResponse:
        """List the open sessions of all users."""
        async with answering(context):
            self._peers.uid(context)
            return pb.ListSessionsResponse(sessions=[summary_message(one) for one in self._sessions.all()])
        raise AssertionError  # `answering` has raised

    async def Kill(self, request: pb.KillRequest, context: Context) -> pb.KillResponse:  # noqa: N802
        """End a session now; the log names who did."""
        async with answering(context):
            uid = self._peers.uid(context)
            session = self._sessions.named(request.display_id)
            reason = request.reason[:_REASON_MAX]
            self._log.after(
                "session_killed", {"session": request.display_id, "by_uid": uid, "reason": reason}
            )
            await self._sessions.close(session, f"ended by an operator: {reason}", "operator")
            return pb.KillResponse()
        raise AssertionError  # `answering` has raised

    async def Doctor(self, _request: pb.DoctorRequest, context: Context) -> pb.DoctorResponse:  # noqa: N802
        """Tell what this host can enforce, as the daemon sees it."""
        async with answering(context):
            self._peers.uid(context)
            checks = await asyncio.to_thread(examine, self._config)
            return pb.DoctorResponse(checks=[_check(check) for check in checks])
        raise AssertionError  # `answering` has raised


def _check(check: Check) -> pb.Check:
    return pb.Check(
        id=check.id,
        status=_STATUS[check.status],
        found=check.found,
        remedy=check.remedy,
        why=check.why,
        protects=check.protects,
        area=check.area,
        evidence=check.evidence.value,
        required=check.required,
    )
