"""The verbs: launch, assign, stop, reconcile. Each leaves nothing behind when it fails, and has a deadline."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import random
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandboxd.broker import counters, spec
from sandboxd.broker.allow_list import load_image
from sandboxd.broker.http import Engine, EngineError, EngineGoneError, quote
from sandboxd.errors import Code, SandboxdError

CALL_SECONDS = 10.0
START_SECONDS = 30.0
GONE_SECONDS = 5.0
NOT_FOUND, CONFLICT = 404, 409
_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Started:
    """A running container. The descriptors are the receiver's."""

    container: str
    stream: socket.socket
    counters: dict[str, int]
    facts: dict[str, str]


class Containers:
    """The containers of one daemon. State: `_ends` holds a future for each that somebody waits to see end.

    Args:
        engine: with its version agreed.
        maker: what all of them have in common.
        images_dir: the allow-list.
        runtimes: that the engine has.
    """

    def __init__(self, engine: Engine, maker: spec.Maker, images_dir: Path, runtimes: list[str]) -> None:
        self._engine = engine
        self._maker = maker
        self._images_dir = images_dir
        self._runtimes = runtimes
        self._random = random.SystemRandom()
        self._oom: set[str] = set()
        self._codes: dict[str, int] = {}
        self._gone: dict[str, asyncio.Event] = {}
        self._creating: set[asyncio.Task[str]] = set()

    # ---- launching ------------------------------------------------------------------------------------------

    async def launch(self, image_name: str, shape: spec.Shape) -> Started:
        """Create, check, attach, start: all of it or nothing.

        Raises:
            SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED, EXECUTOR_UNAVAILABLE, JAIL_FAILED.
        """
        if shape.runtime not in self._runtimes:
            raise SandboxdError(
                Code.EXECUTOR_UNAVAILABLE,
                f"The engine has no runtime {shape.runtime}; it has: {', '.join(self._runtimes) or 'none'}.",
                remedy="Register it in the engine's daemon.json, or use a policy with another isolate.executor.",
                executor=shape.runtime,
            )
        image = load_image(self._images_dir, image_name)
        uid = spec.FIRST_UID + self._random.randrange(spec.UIDS)
        body = self._maker.body(image.image_id, image.python, shape, uid)
        with self._explained(image_name):
            container = await self._create(body)
            try:
                return await self._start(container, body)
            except EngineError as error:  # no "not found" of its is about the image
                await asyncio.shield(self._discard(container))
                raise SandboxdError(Code.JAIL_FAILED, f"The container did not start ({error}).") from None
            except BaseException:
                await asyncio.shield(self._discard(container))
                raise

    async def _create(self, body: dict[str, Any]) -> str:
        """Create to the end, whoever gives up meanwhile: what nobody knows would stay, and AutoRemove is of the started."""
        creating = asyncio.get_running_loop().create_task(self._created(body))
        self._creating.add(creating)
        creating.add_done_callback(self._creating.discard)
        try:
            return await asyncio.shield(creating)
        except asyncio.CancelledError:
            await self.settled()
            if not creating.cancelled() and creating.exception() is None:
                await asyncio.shield(self._discard(creating.result()))
            raise

    async def _created(self, body: dict[str, Any]) -> str:
        made = await self._engine.call("POST", "/containers/create", body, seconds=CALL_SECONDS)
        container = str(made["Id"])
        self._gone[container] = asyncio.Event()
        return container

    async def settled(self) -> None:
        """Wait until what is being created now is known here, or has failed."""
        if self._creating:
            await asyncio.wait(tuple(self._creating))

    async def _start(self, container: str, body: dict[str, Any]) -> Started:
        found = await self._engine.call("GET", f"/containers/{container}/json", seconds=CALL_SECONDS)
        if faults := spec.violations(found, body):
            raise SandboxdError(
                Code.PROTECTION_MISSING,
                f"The engine made a container that is weaker than asked for: {', '.join(faults)}.",
                remedy="Look for a plugin, a proxy or a default of the engine's that changes requests.",
            )
        stream = await self._engine.attach(container, seconds=CALL_SECONDS)
        try:
            await self._engine.call("POST", f"/containers/{container}/start", seconds=START_SECONDS)
            state = await self._engine.call("GET", f"/containers/{container}/json", seconds=CALL_SECONDS)
            pid = int(state["State"]["Pid"])
            opened = counters.open_counters(pid)
            if body["HostConfig"]["Runtime"] == "runc":  # gVisor's files are its own kernel's, not the host's
                opened |= counters.open_scratch(pid)
        except BaseException:
            stream.close()
            raise
        try:
            facts = _facts(pid, body)
        except BaseException:
            stream.close()
            for fd in opened.values():
                os.close(fd)
            raise
        return Started(container, stream, opened, facts)

    @contextlib.contextmanager
    def _explained(self, image_name: str) -> Any:
        try:
            yield
        except EngineError as error:
            if error.status == NOT_FOUND:
                raise SandboxdError(
                    Code.ENVIRONMENT_FAILED,
                    f"The engine has no image of the digest that {image_name} stands for.",
                    remedy=f"Build it again: sandboxd image build {image_name} ...",
                    environment=image_name,
                ) from None
            raise SandboxdError(
                Code.JAIL_FAILED, f"The engine refused: {error}", remedy="Run 'sandboxd doctor'."
            ) from None
        except EngineGoneError as error:
            raise gone(error) from None
        except (OSError, KeyError, TypeError, ValueError) as error:
            raise SandboxdError(
                Code.JAIL_FAILED, f"The container ended while it started ({type(error).__name__}: {error})."
            ) from None

    async def _discard(self, container: str) -> None:
        with contextlib.suppress(EngineError, EngineGoneError):
            await self._remove(container)
        self._forget(container)

    # ---- ending ---------------------------------------------------------------------------------------------

    async def stop(self, container: str) -> tuple[bool, int]:
        """Kill and remove; return whether the engine saw it run out of memory, and its exit code (-1: unknown).

        Raises:
            SandboxdError: EXECUTOR_UNAVAILABLE: it may still be there, and is removed when the engine is back.
        """
        try:
            if (
                container not in self._gone
            ):  # not made here: by the last broker of this daemon, or by somebody else
                await self._owned(container)
            await self._remove(container)
        except EngineError as error:
            if error.status != NOT_FOUND:
                raise SandboxdError(Code.JAIL_FAILED, f"The engine refused: {error}") from None
        except EngineGoneError as error:
            raise gone(error) from None
        finally:
            told = (container in self._oom, self._codes.get(container, -1))
            self._forget(
                container
            )  # also what could not be removed: reconciliation spares what is known here
        return told

    async def _owned(self, container: str) -> None:
        """See that a container is ours before it is touched, whoever names it."""
        found = await self._engine.call("GET", f"/containers/{container}/json", seconds=CALL_SECONDS)
        labels = (found.get("Config") or {}).get("Labels") or {}
        if labels.get(spec.OWNER) != self._maker.owner:
            raise SandboxdError(Code.PERMISSION_DENIED, "That container is not one of this daemon's.")

    async def _remove(self, container: str) -> None:
        try:
            await self._engine.call("DELETE", f"/containers/{container}?force=1&v=1", seconds=CALL_SECONDS)
        except EngineError as error:
            if error.status == CONFLICT:  # its own removal is under way
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(GONE_SECONDS):
                        await self._gone.setdefault(container, asyncio.Event()).wait()
            elif error.status != NOT_FOUND:
                raise

    def _forget(self, container: str) -> None:
        self._oom.discard(container)
        self._codes.pop(container, None)
        self._gone.pop(container, None)

    async def assign(self, container: str, display_id: str) -> None:
        """Name a container after its session: for people who look at the engine."""
        name = quote(f"sandboxd-{self._maker.instance}-{display_id}")
        with contextlib.suppress(EngineError, EngineGoneError):
            await self._engine.call(
                "POST", f"/containers/{container}/rename?name={name}", seconds=CALL_SECONDS
            )

    async def reconcile(self, keep: set[str]) -> int:
        """Remove every container of this owner that is not kept; return how many. Labels are compared here once more.

        Raises:
            EngineError: the engine refuses to list.
            EngineGoneError: it does not answer.
        """
        wanted = quote(json.dumps({"label": [f"{spec.OWNER}={self._maker.owner}"]}))
        listed = await self._engine.call(
            "GET", f"/containers/json?all=1&filters={wanted}", seconds=CALL_SECONDS
        )
        await self.settled()  # what was listed while it was created is a launch's, and known from now on
        removed = 0
        for one in listed or ():
            container, labels = str(one.get("Id")), one.get("Labels") or {}
            if labels.get(spec.OWNER) == self._maker.owner and container not in keep | self._gone.keys():
                try:
                    await self._remove(container)
                    removed += 1
                except EngineError as error:  # the next reconciliation tries again
                    _logger.warning("container %s stays for now: %s", container[:12], error)
        return removed

    def held(self) -> set[str]:
        """Return the containers that this broker started and nobody stopped."""
        return set(self._gone)

    async def watch(self) -> None:
        """Learn from the engine's events how containers end, for as long as it is there; it may come back."""
        filters = {"type": ["container"], "label": [f"{spec.OWNER}={self._maker.owner}"]}
        while True:
            with contextlib.suppress(EngineError, EngineGoneError):
                async for event in self._engine.events(filters):
                    self._note(event)
            await asyncio.sleep(1.0)

    def _note(self, event: dict[str, Any]) -> None:
        actor = event.get("Actor") or {}
        container, action = str(actor.get("ID")), event.get("Action")
        if container not in self._gone:
            return
        if action == "oom":
            self._oom.add(container)
        elif action == "die":
            with contextlib.suppress(ValueError):
                self._codes[container] = int((actor.get("Attributes") or {}).get("exitCode", ""))
        elif action == "destroy":
            self._gone[container].set()


def _facts(pid: int, body: dict[str, Any]) -> dict[str, str]:
    """What the kernel says of init, from outside. gVisor's own processes run there, under filters of its own."""
    runtime = body["HostConfig"]["Runtime"]
    told = {"runtime": runtime, "user_namespace": "own" if counters.has_own_user_namespace(pid) else "host's"}
    if runtime != "runc":
        return told
    lines = counters.status(pid)
    names = ("CapEff", "CapBnd", "CapPrm", "CapAmb", "NoNewPrivs", "Seccomp", "Uid")
    return {**told, **{name: lines.get(name, "") for name in names}}


def gone(error: EngineGoneError) -> SandboxdError:
    """Build the error for an engine that is not there."""
    return SandboxdError(
        Code.EXECUTOR_UNAVAILABLE,
        f"The container engine does not answer ({error}).",
        remedy="Is it running, and may this user connect to its socket? See 'sandboxd doctor'.",
    )
