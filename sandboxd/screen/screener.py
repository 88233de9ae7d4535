"""Screens sources: a cache in front, killable processes behind, and a denial whenever they fail.

The order: look the text up by its hash; check what needs no parser here (it is linear); let a screener process of the
environment's own interpreter do the rest. A process that dies, hangs or answers nonsense is killed and replaced, and its
source is denied (`screen-failed`, SBX901): nothing that could not be screened runs. Such a verdict is not kept, since the
next try may succeed.
"""

from __future__ import annotations

import hashlib
import logging
import os
import platform
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from sandboxd.environments import BASE
from sandboxd.errors import Code, SandboxdError, StartError
from sandboxd.events import Decision, Finding, SourceStats, Verdict
from sandboxd.policy import Policy
from sandboxd.screen.cache import VerdictCache
from sandboxd.screen.engine.catalogue import RULES
from sandboxd.screen.engine.findings import MAX_FINDINGS, Findings
from sandboxd.screen.engine.text import check_size, check_text
from sandboxd.screen.pool import Pool
from sandboxd.screen.process import ProcessSettings, ScreenProcessError
from sandboxd.screen.verdicts import SCREEN_FAILED, Answer, decide, findings_of
from sandboxd.seccomp import build_screener_filter

if TYPE_CHECKING:
    from sandboxd.screen.tools import Signatures

_LOG = logging.getLogger(__name__)


class Screener:
    """Screens sources in processes of the interpreters that they are to run on. Belongs to one event loop.

    Args:
        workers: processes that are kept for each interpreter; those of an environment's own start when first needed.
        wall_seconds: what one check may take.
        memory_bytes: the address space of one process.
        python: the interpreter of `base`, and of every environment that has no other.
        python_of: finds the interpreter of an environment by its name.
        checks_per_process: after so many texts a process is replaced.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        wall_seconds: float = 5.0,
        memory_bytes: int = 512 * 2**20,
        python: str = sys.executable,
        python_of: Callable[[str], str] | None = None,
        checks_per_process: int = 2000,
    ) -> None:
        self._workers = workers
        self._wall_seconds = wall_seconds
        self._memory_bytes = memory_bytes
        self._python = python
        self._python_of = python_of
        self._checks_per_process = checks_per_process
        self._cache = VerdictCache()
        self._settings: ProcessSettings | None = None
        self._pools: dict[str, Pool] = {}  # by executable
        self._of_environment: dict[str, Pool] = {}
        self._closed = False
        self.failures = 0
        self.missing: dict[str, str] = {}  # protections that this host does not give a screener, with reasons

    async def start(self) -> None:
        """Start the base interpreter's processes, so that the first checks need not.

        Raises:
            StartError: one did not come up, or cannot be locked in.
        """
        try:
            self.missing = await self._pool(self._python).start()
        except ScreenProcessError as error:
            await self.close()
            raise StartError(
                Code.INTERNAL,
                f"the screener process did not start: {error}.",
                remedy=f"Run {self._python} -I -S -c 'import ast, ctypes, json' to see why; a container must let its "
                "processes set no_new_privs and load a seccomp filter. `sandboxd doctor` tells what this host allows.",
            ) from None
        # Speculation is the kernel's own affair on many hosts; what else is missing a host's owner can mend.
        level = logging.WARNING if self.missing.keys() - {"speculation"} else logging.INFO
        _LOG.log(level, "screener locked in", extra={"without": self.missing})

    async def check(
        self, code: str, policy: Policy, *, thorough: bool = False, signatures: Signatures | None = None
    ) -> Verdict:
        """Return what the screen says about a source; never raises for what the source is.

        Args:
            code: the text.
            policy: whose rules hold.
            thorough: report also what only the compiler finds. A text that runs next is compiled there anyway.
            signatures: the session's tools, where it has some.
        """
        if signatures is not None and not signatures.concern(code):
            signatures = None
        sha256 = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
        pool = self._pool_of(policy.environment)
        tools = signatures.digest if signatures is not None else ""
        key = (sha256, policy.digest, pool.python_version, thorough, tools)
        verdict = self._cache.get(key)
        if verdict is not None:
            return verdict
        started = time.perf_counter()
        findings, truncated, answer = await self._screen(
            code, policy, pool, thorough=thorough, signatures=signatures
        )
        verdict = Verdict(
            decision=decide(findings),
            findings=findings,
            truncated=truncated,
            policy=policy.name,
            policy_digest=policy.digest,
            source_sha256=sha256,
            python_version=pool.python_version or platform.python_version(),
            elapsed_seconds=time.perf_counter() - started,
            imports=answer.imports,
            binds=answer.binds,
            stats=_stats(code, answer),
            program=answer.program,
        )
        if not any(finding.rule == SCREEN_FAILED for finding in findings):
            self._cache.put((sha256, policy.digest, pool.python_version, thorough, tools), verdict)
        return verdict

    async def close(self) -> None:
        """End all processes. What is being checked ends as `screen-failed`."""
        self._closed = True
        for pool in self._pools.values():
            await pool.close()

    def pids(self) -> tuple[int, ...]:
        """Return the process ids of the running screeners."""
        return tuple(sorted(pid for pool in self._pools.values() for pid in pool.pids()))

    async def _screen(
        self, code: str, policy: Policy, pool: Pool, *, thorough: bool, signatures: Signatures | None
    ) -> tuple[tuple[Finding, ...], bool, Answer]:
        rules = policy.screen
        found = Findings(code, rules.actions)
        if policy.screened:
            check_text(code, rules.budgets, rules.text, found)
        else:
            check_size(code, rules.budgets["source"], found)
        worst, truncated = found.worst()
        here = findings_of(worst)
        if not policy.screened or decide(here) is Decision.DENY:
            return here, truncated, Answer()
        try:
            answer = await pool.ask(code, policy.digest, rules, compiled=thorough, signatures=signatures)
        except (ScreenProcessError, StartError) as error:
            self.failures += 1
            _LOG.warning("screen failed policy=%s reason=%s", policy.name, error)
            return (_failed(),), False, Answer()
        # What is only warned about here comes after what was found there.
        findings = answer.findings + here
        truncated = truncated or answer.truncated or len(findings) > MAX_FINDINGS
        return findings[:MAX_FINDINGS], truncated, answer

    def _pool_of(self, environment: str) -> Pool:
        """Find the pool of an environment's interpreter. Environments never change once made, so it is asked for once."""
        pool = self._of_environment.get(environment)
        if pool is None:
            try:
                python = self._python
                if self._python_of is not None and environment != BASE:
                    python = self._python_of(environment)
            except SandboxdError:
                # Nothing can run in what is not there; the verdict tells which Python it holds for.
                return self._pool(self._python)
            pool = self._of_environment[environment] = self._pool(python)
        return pool

    def _pool(self, python: str) -> Pool:
        python = os.path.realpath(
            python
        )  # a virtual environment's link and what it leads to are one interpreter
        pool = self._pools.get(python)
        if pool is None:
            pool = Pool(
                python,
                self._process_settings,
                workers=self._workers,
                checks_per_process=self._checks_per_process,
            )
            self._pools[python] = pool
        return pool

    def _process_settings(self) -> ProcessSettings:
        """Make the settings when the first process starts: building the filter takes a moment."""
        if self._settings is None:
            program = build_screener_filter().program
            self._settings = ProcessSettings(self._memory_bytes, self._wall_seconds, program)
        return self._settings


def _failed() -> Finding:
    rule = RULES[SCREEN_FAILED]
    return Finding(
        rule=rule.name,
        rule_id=rule.rule_id,
        severity="error",
        message="this source could not be screened, so it was not run",
        hint="Simplify it: smaller literals, less nesting, fewer lines.",
    )


def _stats(code: str, answer: Answer) -> SourceStats:
    size = len(code) if code.isascii() else len(code.encode("utf-8", "surrogatepass"))
    return SourceStats(
        source_bytes=size,
        lines=code.count("\n") + (not code.endswith("\n")),
        nodes=answer.nodes,
        depth=answer.depth,
    )
