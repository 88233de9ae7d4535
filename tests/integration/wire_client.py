"""A bare client of the wire for the front's tests: messages in, messages out, no library in between."""

from __future__ import annotations

import contextlib
import uuid
from typing import TYPE_CHECKING

import grpc
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from google.protobuf.message import Message

LAST = frozenset({"result", "refused", "closed"})


def new_id() -> str:
    return uuid.uuid4().hex


def error_info(error: grpc.aio.AioRpcError) -> pb.ErrorInfo:
    """Read the details of a refused call."""
    metadata = dict(error.trailing_metadata() or ())
    status = pb.RpcStatus.FromString(metadata["grpc-status-details-bin"])
    assert status.code == error.code().value[0]
    return pb.ErrorInfo.FromString(status.details[0].value)


class Wire:
    """Stubs on one channel."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.channel = channel
        self.sandbox = rpc.SandboxServiceStub(channel)
        self.policies = rpc.PolicyServiceStub(channel)
        self.admin = rpc.AdminServiceStub(channel)

    async def open(self, **wish: object) -> Stream:
        stream = Stream(self.sandbox.Session())
        await stream.send(open=pb.Open(**wish))
        stream.opened = (await stream.event("opened")).opened
        return stream

    async def attach(self, session_id: str, after: int = 0) -> Stream:
        stream = Stream(self.sandbox.Session())
        await stream.send(attach=pb.Attach(session_id=session_id, after_sequence=after))
        stream.opened = (await stream.event("opened")).opened
        return stream

    async def refusal(self, call: object) -> pb.ErrorInfo:
        """Await a unary call that is refused."""
        try:
            await call  # type: ignore[misc]
        except grpc.aio.AioRpcError as error:
            return error_info(error)
        raise AssertionError("the call was not refused")


class Stream:
    """One session stream."""

    def __init__(self, call: grpc.aio.StreamStreamCall) -> None:
        self.call = call
        self.opened = pb.Opened()
        self._requests = 0
        self._unpacked: list[pb.SessionEvent] = []

    async def send(self, **request: Message) -> int:
        self._requests += 1
        await self.call.write(pb.SessionRequest(request_id=self._requests, **request))
        return self._requests

    async def execute(self, code: str, execution_id: str = "", timeout_seconds: float = 0) -> str:
        execution_id = execution_id or new_id()
        await self.send(
            execute=pb.Execute(execution_id=execution_id, code=code, timeout_seconds=timeout_seconds)
        )
        return execution_id

    async def read(self) -> pb.SessionEvent | None:
        if not self._unpacked:
            event = await self.call.read()
            if event is grpc.aio.EOF:
                return None
            self._unpacked = [event, *event.more]
        return self._unpacked.pop(0)

    async def event(self, kind: str) -> pb.SessionEvent:
        """Read up to the first event of a kind."""
        while (event := await self.read()) is not None:
            if event.WhichOneof("event") == kind:
                return event
        raise AssertionError(f"the stream ended without {kind}: {await self.call.details()}")

    async def until_last(self) -> list[pb.SessionEvent]:
        """Read up to a result, a refusal or the close."""
        events = []
        while (event := await self.read()) is not None:
            events.append(event)
            if event.WhichOneof("event") in LAST:
                return events
        return events

    async def run(self, code: str, **more: object) -> list[pb.SessionEvent]:
        await self.execute(code, **more)  # type: ignore[arg-type]
        return await self.until_last()

    def cut(self) -> None:
        """Break the stream, as a lost connection does."""
        self.call.cancel()


def kinds(events: list[pb.SessionEvent]) -> list[str]:
    return [event.WhichOneof("event") or "" for event in events]


def stdout(events: list[pb.SessionEvent]) -> bytes:
    return b"".join(event.stdout.data for event in events)


@contextlib.asynccontextmanager
async def connected(address: str) -> AsyncIterator[Wire]:
    # A channel of its own: gRPC shares connections between equal channels, and each test counts its own.
    async with grpc.aio.insecure_channel(
        address, options=(("grpc.use_local_subchannel_pool", 1),)
    ) as channel:
        yield Wire(channel)
