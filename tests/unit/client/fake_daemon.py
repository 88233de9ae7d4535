"""A daemon for faults that a real one cannot be brought to on demand: cut streams, silence, lies, other incarnations.

It speaks the real wire over a real socket. What it "runs" is a script: a list of steps for the next execution.
`started` counts how often each execution id was begun: the number that at-most-once is about.
"""

# ruff: noqa: N802 - the names are gRPC's

from __future__ import annotations

import contextlib
import hashlib
import queue
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from sandboxd_proto.v1 import sandbox_pb2 as pb
from sandboxd_proto.v1 import sandbox_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CUT = object()  # the stream breaks, the execution goes on
LOSE = object()  # the stream breaks before the daemon takes the Execute in
END = object()  # the stream ends without an error


@dataclass
class Job:
    events: list[pb.SessionEvent] = field(default_factory=list)
    finished: bool = False


def result(**fields: Any) -> pb.SessionEvent:
    return pb.SessionEvent(result=pb.Result(**{"outcome": pb.OUTCOME_OK, **fields}))


def stdout(data: bytes, dropped_bytes: int = 0) -> pb.SessionEvent:
    return pb.SessionEvent(stdout=pb.Output(data=data, dropped_bytes=dropped_bytes))


def stderr(data: bytes) -> pb.SessionEvent:
    return pb.SessionEvent(stderr=pb.Output(data=data))


def info(reason: str, failure: str = "", **metadata: str) -> pb.ErrorInfo:
    filled = {"message": f"fake {reason}", "remedy": "do something", **metadata}
    if failure:
        filled["failure_class"] = failure
    return pb.ErrorInfo(reason=reason, domain="sandboxd", metadata=filled)


def details(error: pb.ErrorInfo) -> bytes:
    packed = AnyMessage(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=error.SerializeToString())
    return pb.RpcStatus(code=9, message="fake", details=[packed]).SerializeToString()


def abort(context: grpc.ServicerContext, status: grpc.StatusCode, error: pb.ErrorInfo) -> None:
    context.set_trailing_metadata((("grpc-status-details-bin", details(error)),))
    context.abort(status, "fake")


class FakeDaemon(rpc.SandboxServiceServicer, rpc.PolicyServiceServicer):
    def __init__(self, directory: Path) -> None:
        self.address = f"unix:{directory}/s.sock"
        self.incarnation = "one"
        self.scripts: queue.SimpleQueue[list[Any]] = queue.SimpleQueue()
        self.started: Counter[str] = Counter()
        self.jobs: dict[str, Job] = {}
        self.requests: list[str] = []
        self.files: dict[str, bytes] = {}
        self.opened = pb.Opened(
            session_id="secret-session-one",
            display_id="s-display",
            policy="default",
            limits=pb.Limits(wall_seconds=0.5),
            grace_seconds=0.1,
        )
        self.refuse_open: pb.ErrorInfo | None = None
        self.refuse_attach: list[pb.ErrorInfo] = []
        self.silent_ask = False
        self.withheld: list[pb.SessionEvent] = []  # run, and recorded, but never sent
        self.attached: queue.SimpleQueue[Any] | None = (
            None  # the newest stream of a session that was detached
        )
        self.download: list[pb.DownloadResponse] | None = None
        self.interrupted = threading.Event()
        self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()  # to what is asked beside executions
        self._sequence = 0
        self._server: grpc.Server | None = None

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(16))
        rpc.add_SandboxServiceServicer_to_server(self, self._server)
        rpc.add_PolicyServiceServicer_to_server(self, self._server)
        self._server.add_insecure_port(self.address)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(0).wait()
            self._server = None

    def restart_as(self, incarnation: str) -> None:
        self.stop()
        self.incarnation = incarnation
        self.start()

    # ---- the session stream

    def Session(self, request_iterator: Any, context: grpc.ServicerContext) -> Iterator[pb.SessionEvent]:
        outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(request_iterator, outbox), daemon=True).start()
        context.add_callback(lambda: outbox.put(END))
        while (item := outbox.get()) is not END:
            if item is CUT:
                context.abort(grpc.StatusCode.UNAVAILABLE, "cut")
            elif isinstance(item, pb.ErrorInfo):
                abort(context, grpc.StatusCode.NOT_FOUND, item)
            yield item

    def _read(self, requests: Any, outbox: queue.SimpleQueue[Any]) -> None:
        with contextlib.suppress(Exception):  # a request stream that was cut raises a bare one
            for request in requests:
                kind = request.WhichOneof("request")
                self.requests.append(kind)
                getattr(self, f"_on_{kind}")(request, outbox)

    def _on_open(self, request: pb.SessionRequest, outbox: Any) -> None:
        if self.refuse_open is not None:
            outbox.put(self.refuse_open)
            return
        self.wanted = request.open
        outbox.put(pb.SessionEvent(request_id=request.request_id, opened=self.opened))

    def _on_attach(self, request: pb.SessionRequest, outbox: Any) -> None:
        if self.refuse_attach:
            outbox.put(self.refuse_attach.pop(0))
            return
        if self.incarnation not in request.attach.session_id:
            outbox.put(info("SESSION_LOST", "SESSION_LOST"))
            return
        outbox.put(pb.SessionEvent(request_id=request.request_id, opened=self.opened))
        self.attached = outbox
        last = list(self.jobs.values())[-1:]
        for event in [event for job in last for event in job.events]:
            if event.sequence > request.attach.after_sequence:
                outbox.put(event)

    def _on_execute(self, request: pb.SessionRequest, outbox: Any) -> None:
        script = self.scripts.get()
        if script[0] is LOSE:
            outbox.put(CUT)
            return
        execution_id = request.execute.execution_id
        threading.Thread(
            target=self._run, args=(script, execution_id, request.request_id, outbox), daemon=True
        ).start()

    def _run(self, script: list[Any], execution_id: str, request_id: int, outbox: Any) -> None:
        self.started[execution_id] += 1
        job = self.jobs.setdefault(execution_id, Job())
        for step in script:
            if isinstance(step, float):
                time.sleep(step)
            elif isinstance(step, threading.Event):
                step.wait(10)
            elif isinstance(step, pb.SessionEvent):
                event = pb.SessionEvent()
                event.CopyFrom(step)
                event.request_id, event.execution_id = request_id, execution_id
                self._sequence += 1
                event.sequence = self._sequence
                job.events.append(event)
                job.finished = job.finished or event.HasField("result")
                if step not in self.withheld:
                    (self.attached or outbox).put(event)
            else:
                (self.attached or outbox).put(step)

    def _answer(self, request: pb.SessionRequest, outbox: Any) -> None:
        answer = self.answers.get()
        if isinstance(answer, pb.SessionEvent):
            answer.request_id = request.request_id
        outbox.put(answer)

    _on_fork = _on_checkpoint = _on_rollback = _on_drop_checkpoint = _on_renew = _answer

    def _on_interrupt(self, request: pb.SessionRequest, outbox: Any) -> None:
        self.interrupted.set()

    def _on_close(self, request: pb.SessionRequest, outbox: Any) -> None:
        outbox.put(pb.SessionEvent(closed=pb.Closed(reason="closed by its client")))
        outbox.put(END)

    # ---- the rest

    def GetExecution(self, request: pb.GetExecutionRequest, context: Any) -> pb.GetExecutionResponse:
        self.requests.append("ask")
        if self.silent_ask:
            time.sleep(3)
        job = self.jobs.get(request.execution_id)
        if job is None:
            abort(context, grpc.StatusCode.NOT_FOUND, info("EXECUTION_NOT_FOUND"))
            raise AssertionError
        response = pb.GetExecutionResponse(
            execution_id=request.execution_id, state=pb.EXECUTION_STATE_RUNNING
        )
        if job.finished:
            response.state = pb.EXECUTION_STATE_FINISHED
            response.result.CopyFrom(job.events[-1].result)
            response.events.extend(job.events[:-1])
        return response

    def Upload(self, request_iterator: Any, context: Any) -> pb.UploadResponse:
        first = next(request_iterator).start
        chunks = [part.chunk for part in request_iterator]
        assert all(len(chunk) <= 256 << 10 for chunk in chunks)
        data = b"".join(chunks)
        if len(data) != first.size_bytes or hashlib.sha256(data).hexdigest() != first.sha256:
            abort(context, grpc.StatusCode.DATA_LOSS, info("FILE_HASH_MISMATCH"))
        self.files[first.path] = data
        return pb.UploadResponse(
            file=pb.FileInfo(path=first.path, size_bytes=len(data), kind=pb.FILE_KIND_FILE)
        )

    def Download(self, request: pb.DownloadRequest, context: Any) -> Iterator[pb.DownloadResponse]:
        if self.download is not None:
            yield from self.download
            return
        data = self.files.get(request.path)
        if data is None:
            abort(context, grpc.StatusCode.NOT_FOUND, info("FILE_NOT_FOUND"))
            raise AssertionError
        yield pb.DownloadResponse(file=pb.FileInfo(path=request.path, size_bytes=len(data)))
        for start in range(0, len(data), 65536):
            yield pb.DownloadResponse(chunk=data[start : start + 65536])
        yield pb.DownloadResponse(sha256=hashlib.sha256(data).hexdigest())

    def StatFile(self, request: pb.StatFileRequest, context: Any) -> pb.StatFileResponse:
        data = self.files.get(request.path)
        if data is None:
            abort(context, grpc.StatusCode.NOT_FOUND, info("FILE_NOT_FOUND"))
            raise AssertionError
        return pb.StatFileResponse(file=pb.FileInfo(path=request.path, size_bytes=len(data)))

    def ListFiles(self, request: pb.ListFilesRequest, context: Any) -> pb.ListFilesResponse:
        files = [pb.FileInfo(path=path, kind=99) for path in self.files]  # type: ignore[arg-type]
        return pb.ListFilesResponse(files=files, truncated=True)
