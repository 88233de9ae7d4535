"""Screens sources: a cache in front, killable processes behind, and a denial whenever they fail.

The order: look the text up by its hash; check what needs no parser here (it is linear); let a screener process do the
rest. A process that dies, hangs or answers nonsense is killed and replaced, and its source is denied (`screen-failed`,
SBX901): nothing that could not be screened runs. Such a verdict is not kept, since the next try may succeed.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import platform
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Any

from sandboxd.errors import Code, StartError
from sandboxd.events import Decision, Finding, Verdict
from sandboxd.policy import Policy
from sandboxd.screen.engine.catalogue import RULES
from sandboxd.screen.engine.findings import MAX_FINDINGS, Findings
from sandboxd.screen.engine.text import check_size, check_text
from sandboxd.screen.process import ScreenProcess, ScreenProcessError
from sandboxd.screen.verdicts import SCREEN_FAILED, decide, findings_of

_LOG = logging.getLogger(__name__)
_CACHE_ENTRIES = 1024  # a verdict is 50 KiB at the very most
_CHECKS_PER_PROCESS = 2000  # what a parser leaks or fragments goes with its process
_START_SECONDS = 20.0
_MAX_IMPORTS = 100
_MAX_IMPORT_LENGTH = 200


class Screener:
    """Screens sources in `workers` processes of one interpreter. All methods belong to one event loop."""

    def __init__(
        self,
        *,
        workers: int = 1,
        wall_seconds: float = 5.0,
        memory_bytes: int = 512 * 2**20,
        python: str = sys.executable,
        checks_per_process: int = _CHECKS_PER_PROCESS,
    ) -> None:
        self._workers = workers
        self._wall_seconds = wall_seconds
        self._memory_bytes = memory_bytes
        self._python = python
        self._checks_per_process = checks_per_process
        self._cache: OrderedDict[tuple[str, str, str], Verdict] = OrderedDict()
        # One slot for each worker; None: to be started by whoever takes the slot.
        self._slots: asyncio.LifoQueue[ScreenProcess | None] = asyncio.LifoQueue()
        for _ in range(workers):
            self._slots.put_nowait(None)
        self._running: set[ScreenProcess] = set()
        self._closed = False
        self.python_version = platform.python_version()
        self.failures = 0

    async def start(self) -> None:
        """Start the processes, so that the first checks need not.

        Raises:
            StartError: one did not come up.
        """
        try:
            started = [await self._spawn() for _ in range(self._workers)]
            for process in started:
                self._slots.get_nowait()
                self._slots.put_nowait(process)
        except ScreenProcessError as error:
            await self.close()
            raise StartError(
                Code.INTERNAL,
                f"the screener process did not start: {error}.",
                remedy=f"Run {self._python} -I -S -c 'import ast, json, resource' to see why.",
            ) from None

    async def check(self, code: str, policy: Policy) -> Verdict:
        """Return what the screen says about a source; never raises for what the source is."""
        sha256 = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
        key = (sha256, policy.digest, self.python_version)
        verdict = self._cache.get(key)
        if verdict is not None:
            self._cache.move_to_end(key)
            return verdict
        started = time.perf_counter()
        findings, truncated, imports = await self._screen(code, policy)
        verdict = Verdict(
            decision=decide(findings),
            findings=findings,
            truncated=truncated,
            policy=policy.name,
            policy_digest=policy.digest,
            source_sha256=sha256,
            python_version=self.python_version,
            elapsed_seconds=time.perf_counter() - started,
            imports=imports,
        )
        if not any(finding.rule == SCREEN_FAILED for finding in findings):
            self._remember(key, verdict)
        return verdict

    async def close(self) -> None:
        """End all processes. What is being checked ends as `screen-failed`."""
        self._closed = True
        for process in list(self._running):
            await self._discard(process)

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the running screeners."""
        return tuple(sorted(process.pid for process in self._running))

    async def _screen(self, code: str, policy: Policy) -> tuple[tuple[Finding, ...], bool, tuple[str, ...]]:
        rules = policy.screen
        found = Findings(code, rules.actions)
        if policy.screened:
            check_text(code, rules.budgets, rules.text, found)
        else:
            check_size(code, rules.budgets["source"], found)
        worst, truncated = found.worst()
        here = findings_of(worst)
        if not policy.screened or decide(here) is Decision.DENY:
            return here, truncated, ()
        try:
            answer = await self._ask(code, policy)
            # What is only warned about here comes after what was found there.
            findings = findings_of(answer["findings"]) + here
            truncated = truncated or bool(answer["truncated"]) or len(findings) > MAX_FINDINGS
            return findings[:MAX_FINDINGS], truncated, _imports(answer)
        except (ScreenProcessError, ValueError, KeyError, TypeError) as error:
            self.failures += 1
            _LOG.warning("screen failed policy=%s reason=%s", policy.name, error)
            return (_failed(),), False, ()

    async def _ask(self, code: str, policy: Policy) -> dict[str, Any]:
        async with self._process() as process:
            answer = await process.ask(code, policy.digest, policy.screen.as_json(), self._wall_seconds)
            if answer.get("recycle") or process.checks >= self._checks_per_process:
                await self._discard(process)
            return answer

    @contextlib.asynccontextmanager
    async def _process(self) -> AsyncIterator[ScreenProcess]:
        """Lend a process out. Whatever ends the loan early leaves it in an unknown state: it is killed."""
        process = await self._slots.get()
        try:
            if process is None or not process.alive:
                if process is not None:
                    await self._discard(process)
                process = None
                process = await self._spawn()
            yield process
        except BaseException:
            if process is not None:
                await asyncio.shield(self._discard(process))
            raise
        finally:
            self._slots.put_nowait(process if process in self._running else None)

    async def _spawn(self) -> ScreenProcess:
        if self._closed:
            raise ScreenProcessError("the screener is closed")
        process = await ScreenProcess.start(
            self._python, memory_bytes=self._memory_bytes, wall_seconds=_START_SECONDS
        )
        self._running.add(process)
        self.python_version = process.python_version
        return process

    async def _discard(self, process: ScreenProcess) -> None:
        self._running.discard(process)
        await process.kill()

    def _remember(self, key: tuple[str, str, str], verdict: Verdict) -> None:
        self._cache[key] = verdict
        if len(self._cache) > _CACHE_ENTRIES:
            self._cache.popitem(last=False)


def _failed() -> Finding:
    rule = RULES[SCREEN_FAILED]
    return Finding(
        rule=rule.name,
        rule_id=rule.rule_id,
        severity="error",
        message="this source could not be screened, so it was not run",
        hint="Simplify it: smaller literals, less nesting, fewer lines.",
    )


def _imports(answer: dict[str, Any]) -> tuple[str, ...]:
    names = answer["imports"]
    if not isinstance(names, list) or len(names) > _MAX_IMPORTS:
        raise ValueError("not a list of imports")
    if not all(isinstance(name, str) and len(name) <= _MAX_IMPORT_LENGTH for name in names):
        raise ValueError("not a list of imports")
    return tuple(names)
