"""A daemon whose sessions run in containers of an engine of the tests' own, and all that the two may leave behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from engine import OwnEngine, start_engine
from mutants import Edit
from sandboxd_client import Sandbox
from traces import Snapshot, differences, find, reap, settle

from crash.house import EQUAL_LOOKS, VISITORS, House
from crash.modes import MODES
from crash.steps import ahead, from_above
from sandboxd.broker.allow_list import load_image
from sandboxd.broker.spec import INSTANCE, LABEL, OWNER, SHAPE
from sandboxd.images import Source, build_image

STEPS = ("creating", "created", "attached", "started", "handed", "running", "stopped", "closing", "reaping")
"""Not sent to create; created, not known; attached; started; not yet taken by the front; a snippet runs; between two
snippets; not sent to remove; about to remove what nobody has."""
TARGETS = ("front", "broker", "engine", "init", "client")
NO_INIT = frozenset({"creating", "created", "attached"})
RUNTIMES = ("runc", "runsc")
REST_SECONDS = 60.0
_CONTAINERS, _LINK = "broker/containers.py", "executors/container.py"
EDITS = (
    ahead(_CONTAINERS, 'made = await self._engine.call("POST"', from_above("creating")),
    ahead(_CONTAINERS, 'container = str(made["Id"])', from_above("created")),
    ahead(
        _CONTAINERS,
        'await self._engine.call("POST", f"/containers/{container}/start"',
        from_above("attached"),
    ),
    ahead(_CONTAINERS, "state = await self._engine.call(", from_above("started")),
    ahead(_LINK, "container = launched.container", from_above("handed")),
    ahead(
        _CONTAINERS,
        "await self._remove(container)\n        except EngineError as error:\n            if",
        from_above("closing"),
    ),
    ahead(
        _CONTAINERS,
        "await self._remove(container)\n                    removed += 1",
        from_above("reaping"),
    ),
)
OFTEN = Edit(_LINK, "RECONCILE_SECONDS = 30.0", "RECONCILE_SECONDS = 0.5")
_POLICY = (
    "apiVersion: sandboxd/v1\nkind: Policy\nmetadata: {{name: in-{runtime}}}\nextends: unscreened\n"
    "screen: {{enabled: false}}\nisolate: {{executor: {runtime}}}\nlimits: {{memory: {{enforce: total}}}}\n"
)
_IDS = re.compile(r"[0-9a-f]{12,64}(-init)?")


def ask(engine: OwnEngine, path: str) -> Any:
    """Ask the engine itself, without the command's start; None while it is not there."""
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(str(engine.socket))
            sock.sendall(f"GET {path} HTTP/1.0\r\nHost: engine\r\n\r\n".encode())
            raw = b"".join(iter(lambda: sock.recv(65536), b""))
    except OSError:
        return None
    return json.loads(raw.partition(b"\r\n\r\n")[2] or b"null")


class Decoys:
    """What others have on the engine, with labels that are nearly ours: none of it may be touched."""

    def __init__(self, engine: OwnEngine) -> None:
        self._engine = engine
        image = load_image(engine.images, "base")
        self._start = ["--network=none", "--entrypoint", image.python, image.image_id, "-c"]
        self.there: set[str] = set()
        # Runs, and the engine starts it again after its own death.
        self._make(
            "run",
            "-d",
            "--restart=always",
            "--label",
            f"{LABEL}=1",
            *self._start,
            "import time; time.sleep(1e6)",
        )

    def around(self, owner: str) -> None:
        """Add neighbours of an owner's."""
        labels = (
            f"{OWNER}={owner}0", f"{OWNER}={owner[:-1]}", f"{OWNER}={owner.upper()}", f"{OWNER}=", f"{OWNER}s={owner}",
            f"x.{OWNER}={owner}", f"{INSTANCE}={owner}", f"{SHAPE}={owner}",
        )  # fmt: skip
        for label in labels:
            self._make("create", "--label", label, *self._start, "1")
        self.there.add(self._engine.docker("volume", "create", "--label", f"{OWNER}={owner}"))
        network = ("network", "create", "--driver=null", "--label", f"{OWNER}={owner}", f"n{owner}")
        with contextlib.suppress(AssertionError):  # an engine without a bridge may have no driver for it
            self.there.add(self._engine.docker(*network))

    def _make(self, *arguments: str) -> None:
        self.there.add(self._engine.docker(*arguments))

    def missing(self) -> list[str]:
        """Tell what is not there any more."""
        containers = {one["Id"] for one in ask(self._engine, "/containers/json?all=1") or ()}
        volumes = {one["Name"] for one in (ask(self._engine, "/volumes") or {}).get("Volumes") or ()}
        networks = {one["Id"] for one in ask(self._engine, "/networks") or ()}
        return [f"decoy {one} is gone" for one in sorted(self.there - containers - volumes - networks)]


class Fleet(House):
    """A house whose visitors' sessions are containers.

    Args:
        engine: with the image "base".
        decoys: of that engine's.
        edits: beside a reconciliation every half second.
        pool: containers that wait.
    """

    def __init__(
        self, engine: OwnEngine, decoys: Decoys, *, edits: Iterable[Edit] = (), pool: int = 0
    ) -> None:
        self.engine, self._decoys, self._pool = engine, decoys, pool
        self.owner = ""
        best = next(name for name, mode in MODES.items() if mode.available())
        flags = ["--engine-socket", str(engine.socket), "--images-dir", str(engine.images)]
        policies = engine.home / f"policies-{pool}"
        policies.mkdir(exist_ok=True)
        for runtime in RUNTIMES:
            (policies / f"in-{runtime}.yaml").write_text(_POLICY.format(runtime=runtime))
        flags += ["--container-pool", str(pool), "--policy-dir", str(policies)]
        super().__init__(best, edits=[*edits, OFTEN], flags=flags, waiting=0)

    def start(self) -> None:
        """Start the daemon; the first time make it known who owns its containers, and put decoys around."""
        super().start()
        if not self.owner:
            key = (self.state / "key").read_bytes()
            self.owner = hashlib.sha256(b"containers:" + key).hexdigest()[:32]
            self._decoys.around(self.owner)
            self.nothing = replace(self.nothing, rows={**self.nothing.rows, "records": self._records()})
            self.come_to_rest()

    def run(self, code: str, runtime: str = "runc") -> str | None:
        """Run code in a container of its own."""
        with Sandbox(f"in-{runtime}", self.address, open_timeout=30) as sandbox:
            return sandbox.run_code(code).text

    def assert_serves(self) -> None:
        """Open a session and use it: the daemon is the same, whatever died beside it."""
        assert self.run("20 + 1") == "21"

    def come_to_rest(self) -> None:
        """Wait until nothing changes any more and the pool is full, and remember that."""
        until = time.monotonic() + REST_SECONDS
        equal = 0
        while equal < EQUAL_LOOKS:
            assert time.monotonic() < until, "the fleet does not come to rest"
            before, self.quiet = self.quiet, self.snapshot()
            full = not self.owner or len(self.ours("running")) == len(self.ours()) == self._pool
            equal = equal + 1 if full and before is not None and not differences(before, self.quiet) else 0
            time.sleep(0.05)

    # ---- what is seen ----------------------------------------------------------------------------------------------

    def ours(self, state: str = "") -> list[dict[str, Any]]:
        """List our containers, whatever their labels look like to the product: by the owner's exact name."""
        listed = ask(self.engine, "/containers/json?all=1") or ()
        mine = [one for one in listed if (one.get("Labels") or {}).get(OWNER) == self.owner]
        return [one for one in mine if not state or one["State"] == state]

    def snapshot(self) -> Snapshot:
        """Take stock of the daemon's things, and of everything of the engine's."""
        reap(self._spared())
        found = super().snapshot()
        files = Counter(
            {name: n for name, n in found.rows["files"].items() if not name.startswith("state/containers")}
        )
        held = Counter(_IDS.sub("*", name) for name in found.rows["descriptors"].elements())
        rows = {**found.rows, "files": files, "descriptors": held}
        rows["containers"] = Counter(one["State"] for one in self.ours())
        rows["inside"] = Counter({"processes": self._inside()})
        rows["groups"] = self._groups()
        rows["engine's mounts"] = self._mounts()
        rows["records"] = self._records()
        return Snapshot(rows)

    def _spared(self) -> set[int]:
        started = {self.engine.process.pid} if self.engine.process is not None else set()
        daemon = getattr(self, "daemon", None)
        return VISITORS | started | ({daemon.process.pid} if daemon is not None else set())

    def _inside(self) -> int:
        """Count the processes that see our guest's code mounted: by mount, so whatever they are called or whose they are."""
        needle, count = f"{self.state}/containers/", 0
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    count += needle in (entry / "mountinfo").read_text() and entry.name != str(os.getpid())
        return count

    def _groups(self) -> Counter[str]:
        places = Path("/sys/fs/cgroup").glob(f"*/{self.engine.home.name}/*/")
        return Counter(place.parts[4] for place in places)

    def _mounts(self) -> Counter[str]:
        lines = Path("/proc/self/mountinfo").read_text().splitlines()
        places = (line.split()[4] for line in lines)
        return Counter(_IDS.sub("*", place) for place in places if place.startswith(f"{self.engine.home}/"))

    def _records(self) -> Counter[str]:
        """Count what the engine, containerd and the runtimes keep of containers on disk."""
        home = self.engine.home
        tasks = home / "exec/containerd/daemon/io.containerd.runtime.v2.task/moby"
        kept = (home / "data/containers", tasks, home / "exec/runtime-runc/moby", home / "data/overlay2")
        counted: Counter[str] = Counter()
        for place in kept:
            with contextlib.suppress(OSError):
                counted[place.name] = sum(1 for one in place.iterdir() if len(one.name) >= 64)
        return counted

    def assert_quiet(self) -> None:
        """Wait until all is as it was: an init whose engine was killed hears nothing, and ends with its lease of 20 s."""
        quiet = self.quiet
        assert quiet is not None
        left = settle(lambda: differences(quiet, self.snapshot()), REST_SECONDS)
        assert not left, left

    def assert_untouched(self) -> None:
        """See that everything of others is there."""
        assert self._decoys.missing() == []

    # ---- victims ---------------------------------------------------------------------------------------------------

    def victim(self, target: str) -> int:
        """Return the pid of the part that is to die; 0 for an init that ended with its stream, as it does at a close."""
        if target == "broker":
            (pid,) = find("broker", self.front)
            return pid
        if target == "engine":
            assert self.engine.process is not None
            return self.engine.process.pid
        if target == "init":
            inits = [ask(self.engine, f"/containers/{one['Id']}/json") for one in self.ours()]
            return max((int(one["State"]["Pid"]) for one in inits if one and "State" in one), default=0)
        return super().victim(target)

    def strike(self, target: str) -> None:
        """Kill a part."""
        if target == "engine":
            self.engine.kill()
        elif pid := self.victim(target):
            self.kill(pid)

    def restore(self, target: str) -> None:
        """Start again what does not come back by itself; the daemon is not asked to do anything."""
        if target == "engine":
            self.engine.start()
        elif target == "front":
            self.buried()
            self.log()  # verifies, also while its last line may be torn
            self.start()

    def leave(self) -> str:
        """Leave a container of ours that no daemon knows, as a broker that was killed does; return its id."""
        image = load_image(self.engine.images, "base").image_id
        labels = ["--label", f"{OWNER}={self.owner}", "--label", f"{INSTANCE}=00000000"]
        return self.engine.docker("create", *labels, "--entrypoint", "/x", image)


@contextlib.contextmanager
def harbour() -> Any:
    """Yield an engine of the caller's own with the image "base", and others' things on it."""
    engine = start_engine()
    try:
        build_image(engine.images, engine.socket, "base", Source(), progress=lambda _: None)
        yield engine, Decoys(engine)
    finally:
        engine.close()
