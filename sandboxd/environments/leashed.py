"""Run a long command under `leash.py`, handing on what it says line by line."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sandboxd.errors import Code, SandboxdError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

_LEASH = str(Path(__file__).with_name("leash.py"))
_LINE_BYTES = 2000
_TAIL_LINES = 12


@dataclass(frozen=True, slots=True)
class Workshop:
    """Where commands run: with which interpreter, for whom, and who hears of it."""

    python: str
    lock_fd: int  # the leash holds it too: the directory is owned until nothing writes there any more
    progress: Callable[[str], None]
    variables: Mapping[str, str] = field(default_factory=dict)

    def run(self, command: Sequence[str], *, title: str) -> None:
        """Run one command to its end.

        Raises:
            SandboxdError: ENVIRONMENT_FAILED with the last lines that the command wrote.
        """
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        with self._start(command) as process:
            assert process.stdout is not None
            for line in _lines(process.stdout):
                tail.append(line)
                self.progress(line)
        if process.returncode != 0:
            said = "\n".join(f"  {line}" for line in tail)
            raise SandboxdError(
                Code.ENVIRONMENT_FAILED,
                f"{title} failed (exit status {process.returncode}):\n{said}",
                remedy="Nothing was left behind. Mend what it reports, then run the command again.",
            )

    @contextlib.contextmanager
    def _start(self, command: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(
            [self.python, "-I", "-S", "-B", _LEASH, *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then pulls the leash
            pass_fds=(self.lock_fd,),
            umask=0o022,  # the jail's user is another one and must be able to read it all
            env={**os.environ, **self.variables},
        )
        assert process.stdin is not None
        try:
            yield process
        finally:
            process.stdin.close()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def _lines(stream: IO[bytes]) -> Iterator[str]:
    while raw := stream.readline(_LINE_BYTES):
        if line := raw.decode("utf-8", "replace").rstrip():
            yield line
