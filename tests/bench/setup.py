"""What a run of the benchmark has at hand: a directory on a disk, real daemons, an environment with pandas, bubblewrap."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandboxd.environments import BASE, Environment, load_environment
from tests.bench.rows import MissingError

ROOT = Path(__file__).parents[2]
PANDAS = "data-science"  # the policy and its environment
START_SECONDS = 60
NO_POOL = ("--pool-size", "0", "--pool-max", "0", "--pool-fresh", "0")
# The benchmark's own load must not be what is refused; all else is as shipped.
_WIDE = ("--max-sessions", "256", "--max-connections", "256", "--max-queue", "256")


@dataclass(frozen=True, slots=True)
class Daemon:
    """A running daemon: `address` is the way of its own user, `public` the one through the acceptor, as in a service."""

    address: str
    public: str
    admin: str
    pid: int


@dataclass(frozen=True, slots=True)
class Setup:
    """One run. `directory` is on a disk and goes with the run; `peers` is where peers are installed, None: not asked for."""

    directory: Path
    quick: bool = False
    peers: Path | None = None
    docker_socket: str = ""
    docker_image: str = ""
    shared: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)  # ends what a quick run shares
    running: dict[tuple[str, ...], Daemon] = field(default_factory=dict)

    def pick(self, full: int, quick: int) -> int:
        """Choose a count."""
        return quick if self.quick else full

    def daemon(self, name: str, *options: str) -> contextlib.AbstractContextManager[Daemon]:
        """Run a real daemon with its own sockets and state below a short name.

        A quick run has one for each set of options, because starting them takes most of its time.
        """
        if not self.quick:
            return self.start(name, *options)
        if options not in self.running:
            self.running[options] = self.shared.enter_context(self.start(name, *options))
        return contextlib.nullcontext(self.running[options])

    @contextlib.contextmanager
    def start(self, name: str, *options: str, tree: Path = ROOT) -> Iterator[Daemon]:
        """Start a daemon and end it afterwards. `tree` holds the packages to run: see `mutants.make_mutant`."""
        home = self.directory / name
        home.mkdir()
        command = [sys.executable, "-m", "sandboxd", "serve", "--embedded", "--runtime-dir", f"{home}/run"]
        command += ["--state-dir", f"{home}/state", "--environments-dir", str(environments_dir()), *_WIDE]
        ready, told = os.pipe()
        with (home / "log").open("wb") as log, open(ready, encoding="utf-8") as answer:
            # `python -m` puts the working directory first, before what is installed.
            process = subprocess.Popen(
                [*command, "--ready-fd", str(told), *options], stderr=log, cwd=tree, pass_fds=[told]
            )
            os.close(told)
            waited = select.select([ready], [], [], START_SECONDS)[0]
            line = answer.readline() if waited else ""
        try:
            said = json.loads(line) if line else {}
            if "address" not in said:
                raise RuntimeError(f"the daemon did not start: {line} {(home / 'log').read_text()[-2000:]}")
            own = said["own_address"] or said["address"]
            yield Daemon(own, said["address"], said["admin_address"], process.pid)
        finally:
            process.terminate()
            process.wait()

    def bubblewrap(self) -> str:
        """Return the path of bwrap.

        Raises:
            MissingError: it is not installed.
        """
        unpacked = self.peers / "bubblewrap/usr/bin/bwrap" if self.peers is not None else None
        if unpacked is not None and unpacked.exists():
            return str(unpacked)
        found = shutil.which("bwrap")
        if found is None:
            raise MissingError("bubblewrap is not installed: apt-get install bubblewrap, or run with --peers")
        return found

    def python(self) -> str:
        """Return an interpreter for peers, in an empty virtual environment.

        `site` runs as it does for everyone, but what the host's own site-packages start (.pth files) slows no peer down.
        """
        home = self.directory / "venv"
        if not home.exists():
            command = [base().python, "-I", "-m", "venv", "--without-pip", str(home)]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return str(home / "bin/python")

    def pandas(self) -> Environment:
        """Return the environment with pandas, made once and kept between runs.

        Raises:
            MissingError: a quick run, or it could not be made.
        """
        if self.quick:
            raise MissingError("left out of a quick run: it needs an environment with pandas")
        command = [sys.executable, "-m", "sandboxd", "env", "create", PANDAS, "--if-missing"]
        made = subprocess.run(
            [*command, "--environments-dir", str(environments_dir())],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        if made.returncode:
            raise MissingError(f"no environment {PANDAS}: {made.stderr.strip()[-200:]}")
        return load_environment(environments_dir(), PANDAS)


def base() -> Environment:
    """Return the environment that is always there."""
    return load_environment(environments_dir(), BASE)


def environments_dir() -> Path:
    """Return where the benchmark's environments are kept; not in the checkout, which a box's own mounts may hide."""
    home = Path(f"/var/tmp/sandboxd-bench-{os.geteuid()}")
    home.mkdir(mode=0o700, exist_ok=True)
    status = home.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise RuntimeError(f"{home} is not a directory of this user: remove it")
    return home / "environments"
