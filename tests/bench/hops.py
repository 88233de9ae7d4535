"""Stamps the hops of a call. `profile.py` puts this file into a copy of the daemon; it is no part of the product.

Functions are wrapped by name, so that the copy needs one changed line a process. Every process has the same clock
(CLOCK_MONOTONIC). Zygote, pid 1 and guest cannot write files: their stamps ride on the messages that they send anyway.
"""

from __future__ import annotations

import atexit
import importlib
import inspect
import json
import os
import time
from collections.abc import Callable
from typing import Any

# What is wrapped: "=" before a name says that the function waits, so only its return is a hop.
POINTS = {
    "front": (
        "sandboxd.service.stream:SessionStream._dispatch",
        "sandboxd.service.sandbox:execute_wish",
        "sandboxd.sessions.registry:Sessions.open",
        "sandboxd.executors.process:ProcessExecutor.open",
        "sandboxd.pipeline:Pipeline.run",
        "sandboxd.screen.screener:Screener.check",
        "sandboxd.quota:Admission.enter",
        "sandboxd.log.executions:Executions.begin",
        "sandboxd.executors.run:Run.go",
        "sandboxd.launcher.meter:Meter.begin",
        "sandboxd.executors.guest:GuestLink.run",
        "sandboxd.executors.guest:_claim",
        "sandboxd.launcher.meter:Meter.read",
        "sandboxd.executors.run:Run.rest",
        "sandboxd.log.executions:Executions.finish",
        "sandboxd.service.stream:event_messages",
        "sandboxd.sessions.registry:Sessions.close",
        "sandboxd.executors.process_box:ProcessBox.close",
    ),
    "launcher": (
        "sandboxd.launcher.main:Launcher._open",
        "sandboxd.launcher.pool:Pool.take",
        "sandboxd.launcher.box:Box.build",
        "sandboxd.launcher.zygotes:Zygote.fork",
        "sandboxd.launcher.host:Host.new_cgroup",
        "sandboxd.launcher.cgroups.tree:Cgroup.add",
        "sandboxd.launcher.idmaps:write_maps",
        "sandboxd.launcher.box:Box.check_out",
        "sandboxd.launcher.box:Box.size",
        "sandboxd.launcher.member:Member.take",
        "sandboxd.launcher.cgroups.tree:Cgroup.limit",
        "sandboxd.launcher.protections:active_protections",
        "sandboxd.launcher.member:Member.begin",
        "sandboxd.launcher.cgroups.guest_group:GuestGroup.thaw",
        "sandboxd.launcher.member:Member.end",
        "sandboxd.launcher.cgroups.guest_group:GuestGroup.freeze",
        "sandboxd.launcher.box:Box.close",
        "sandboxd.launcher.cgroups.tree:Cgroup.remove",
    ),
    "zygote": (
        "sandboxd.jail.kernel:clone",
        "sandboxd.jail.supervisor:Supervisor._build",
        "sandboxd.jail.groups:join",
        "sandboxd.jail.kernel:unshare",
        "sandboxd.jail.mounts:open_sources",
        "sandboxd.jail.mounts:build_root",
        "sandboxd.jail.mounts:enter_root",
        "sandboxd.jail.mounts:size_scratch",
        "sandboxd.jail.lockdown:set_policy_rlimits",
        "sandboxd.jail.lockdown:lock_down",
        "sandboxd.jail.lockdown:arrange_descriptors",
        "sandboxd.jail.lockdown:drop_privileges",
        "sandboxd.jail.landlock:restrict",
        "sandboxd.jail.kernel:load_seccomp",
        "sandboxd.guest.hygiene:cleanse",
        "sandboxd.guest.loop:Session.__init__",
        "=sandboxd.guest.frames:Channel.receive",
        "sandboxd.guest.loop:Session._serve",
        "sandboxd.guest.cell:Interpreter.run",
    ),
}
# What carries stamps from process to process: senders add them, receivers keep them.
SENDERS = ("sandboxd.jail.wire:send", "sandboxd.guest.frames:Channel.send")
RECEIVERS = {
    "launcher": "sandboxd.jail.wire:receive",
    "front": "sandboxd.executors.guest:GuestLink._on_frame",
}
DIRECTORY = "SANDBOXD_BENCH_HOPS"

Function = Callable[..., Any]
_stamps: list[list[Any]] = []
_process = ""


def install(process: str) -> None:
    """Wrap what this process does; front and launcher write their stamps when they end."""
    global _process  # noqa: PLW0603
    _process = process
    for point in set(POINTS[process]) - set(missing(process)):
        _replace(point.lstrip("="), _stamping(point))
    if process == "zygote":
        os.register_at_fork(after_in_child=_be_guest)
        for point in SENDERS:
            _replace(point, _carrying)
    else:
        _replace(RECEIVERS[process], _keeping)
        atexit.register(_write)


def find(point: str) -> tuple[Any, str, Function]:
    """Return the object that has the function, and its name there."""
    module, _, path = point.lstrip("=").partition(":")
    owner = importlib.import_module(module)
    *holders, name = path.split(".")
    for holder in holders:
        owner = getattr(owner, holder)
    return owner, name, getattr(owner, name)


def missing(process: str) -> list[str]:
    """Return the points that the product no longer has: the profile says so, and goes on without."""
    gone = []
    for point in POINTS[process]:
        try:
            find(point)
        except (ImportError, AttributeError):
            gone.append(point)
    return gone


def _replace(point: str, wrap: Callable[[Function], Function]) -> None:
    owner, name, function = find(point)
    setattr(owner, name, wrap(function))


def _become(process: str) -> None:
    global _process  # noqa: PLW0603
    _process = process
    _stamps.clear()


def _be_guest() -> None:
    _become("guest")
    _stamp("=:(forked)", 0)


def _stamp(point: str, started: int) -> None:
    ended = time.monotonic_ns()
    name = point.lstrip("=").partition(":")[2]
    _stamps.append([_process, name, ended if point.startswith("=") else started, ended])


def _stamping(point: str) -> Callable[[Function], Function]:
    def wrap(function: Function) -> Function:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            started = time.monotonic_ns()
            try:
                result = function(*args, **kwargs)
                if point.endswith("kernel:clone") and result == 0:
                    _become("pid 1")
                return result
            finally:
                _stamp(point, started)

        async def waiting(*args: Any, **kwargs: Any) -> Any:
            started = time.monotonic_ns()
            try:
                return await function(*args, **kwargs)
            finally:
                _stamp(point, started)

        return waiting if inspect.iscoroutinefunction(function) else wrapper

    return wrap


def _carrying(send: Function) -> Function:
    def wrapper(first: Any, message: dict[str, Any], *rest: Any) -> Any:
        taken, _stamps[:] = list(_stamps), []
        return send(first, {**message, "hops": taken}, *rest)

    return wrapper


def _keeping(receive: Function) -> Function:
    def wrapper(*args: Any) -> Any:
        # `wire.receive` gives the message, `_on_frame` gets it.
        for message in args:
            if isinstance(message, dict):
                _stamps.extend(message.pop("hops", ()))
        result = receive(*args)
        if isinstance(result, tuple):
            _stamps.extend(result[0].pop("hops", ()))
        return result

    return wrapper


def _write() -> None:
    path = os.path.join(os.environ[DIRECTORY], f"{_process}-{os.getpid()}.json")
    with open(path, "w", encoding="ascii") as file:
        json.dump(_stamps, file)
