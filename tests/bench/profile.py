"""Where the time of a call goes, hop by hop, in a copy of the daemon that stamps them (`hops.py`).

Read it as a timeline: `at` is when a hop began after the client's call, `takes` how long it lasted with what it waited for. A
step from one process to another that takes long is the kernel waking it, or its event loop being busy.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sandboxd_client import Sandbox

from tests.bench import hops
from tests.bench.one_shots import one_shot
from tests.bench.rows import MissingError
from tests.bench.sections.one_shot import FRAME
from tests.bench.setup import NO_POOL, PANDAS, Setup
from tests.mutants import Edit, make_mutant

_AFTER = 0.7  # of the pause between two calls: what a call leaves to do when its answer is out
EDITS = (
    Edit(
        "server/main.py", "    os.umask(0o077)\n",
        "    os.umask(0o077)\n    from sandboxd import hops\n    hops.install('front')\n",
    ),
    Edit(
        "launcher/__main__.py", "sys.exit(main())",
        "from sandboxd import hops\nhops.install('launcher')\nsys.exit(main())",
    ),
    Edit(
        # Before it warms up: then it hides the package, and nothing of it can be imported any more.
        "jail/zygote.py", "        serve = _warm(config, boot_path)\n",
        "        from sandboxd import hops\n        hops.install('zygote')\n        serve = _warm(config, boot_path)\n",
    ),
)  # fmt: skip
SHOWN = {
    "all": {"front", "launcher", "zygote", "pid 1", "guest"},
    "front": {"front"},
    "launcher": {"launcher"},
    "zygote": {"zygote", "pid 1"},
    "guest": {"pid 1", "guest"},
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """One hop, nanoseconds of CLOCK_MONOTONIC."""

    process: str
    name: str
    started: int
    ended: int


@dataclass(frozen=True, slots=True)
class Call:
    """What the client saw."""

    started: int
    ended: int


def make_tree(directory: Path) -> Path:
    """Make the copy that stamps."""
    tree = make_mutant(directory, EDITS)
    shutil.copy(hops.__file__, tree / "sandboxd/hops.py")
    return tree


@dataclass(frozen=True, slots=True)
class Subject:
    """What is looked at: a call, and the daemon it is made to."""

    title: str
    options: tuple[str, ...] = ()
    policy: str = ""
    code: str = "1+1"
    in_session: bool = False

    @property
    def pause_seconds(self) -> float:
        """What is between two calls: for a one-shot the pool must refill."""
        return 0.005 if self.in_session else 0.08


SUBJECTS = (
    Subject("warm 1+1 in an open session", in_session=True),
    Subject("one-shot, a waiting child found"),
    Subject("one-shot, none waiting", NO_POOL),
    Subject("one-shot with pandas, a waiting child found", (), PANDAS, FRAME),
)


def profile(which: str) -> int:
    """Print the timeline of each subject."""
    with tempfile.TemporaryDirectory(prefix="sbx-hops-", dir="/var/tmp") as name:
        setup = Setup(Path(name))
        tree = make_tree(setup.directory / "tree")
        for point in (point for process in hops.POINTS for point in hops.missing(process)):
            print(f"no longer there, so not stamped: {point} (tests/bench/hops.py)")
        for place, subject in enumerate(SUBJECTS):
            try:
                if subject.policy:
                    setup.pandas()
                calls, stamps = _run(setup, tree, str(place), subject)
            except MissingError as reason:
                print(f"\n{subject.title}: {reason}")
            else:
                after = subject.pause_seconds * _AFTER
                lines = timeline(subject.title, calls, stamps, SHOWN[which], after_seconds=after)
                print("\n".join(lines), flush=True)
    return 0


def _run(setup: Setup, tree: Path, name: str, subject: Subject) -> tuple[list[Call], list[Stamp]]:
    with tempfile.TemporaryDirectory(dir=setup.directory) as found:
        os.environ[hops.DIRECTORY] = found  # inherited by front and launcher
        with setup.start(name, *subject.options, tree=tree) as daemon:
            if subject.in_session:
                with Sandbox(address=daemon.address, policy=subject.policy) as sandbox:
                    calls = _calls(lambda: sandbox.run_code(subject.code), 200, subject.pause_seconds)
            else:
                with one_shot(daemon.address, subject.code, subject.policy) as shot:
                    calls = _calls(shot, 40, subject.pause_seconds)
        lines = [json.loads(file.read_text()) for file in Path(found).iterdir()]
    return calls, [Stamp(*stamp) for stamps in lines for stamp in stamps]


def _calls(operation: Callable[[], object], count: int, pause_seconds: float) -> list[Call]:
    calls = []
    for _ in range(count + 3):
        time.sleep(pause_seconds)
        started = time.monotonic_ns()
        operation()
        calls.append(Call(started, time.monotonic_ns()))
    return calls[3:]


def timeline(
    title: str, calls: list[Call], stamps: list[Stamp], shown: set[str], *, after_seconds: float
) -> list[str]:
    """Return the hops that most calls have, by the median of when they began."""
    found: dict[tuple[str, str, int], list[tuple[int, int]]] = defaultdict(list)
    for call in calls:
        seen: dict[tuple[str, str], int] = defaultdict(int)
        inside = [s for s in stamps if call.started <= s.started < call.ended + after_seconds * 1e9]
        for stamp in sorted(inside, key=lambda s: s.started):
            place = (stamp.process, stamp.name)
            found[*place, seen[place]].append((stamp.started - call.started, stamp.ended - stamp.started))
            seen[place] += 1
    whole = statistics.median(call.ended - call.started for call in calls) / 1000
    hops_ = [
        (statistics.median(at for at, _ in each), statistics.median(takes for _, takes in each), *key[:2])
        for key, each in found.items()
        if len(each) * 2 > len(calls) and key[0] in shown
    ]
    lines = ["", f"{title}: {whole:,.0f} us for the client, median of {len(calls)} calls"]
    lines.append(f"{'at us':>10}{'takes us':>10}  {'process':<10}hop")
    ends: dict[str, list[float]] = defaultdict(list)
    answered = False
    for at, takes, process, name in sorted(hops_):
        if at / 1000 > whole and not answered:
            answered = True
            lines.append(f"{whole:>10,.0f}{'':>10}  {'client':<10}has its answer")
        ends[process] = [end for end in ends[process] if end > at]
        depth = "  " * len(ends[process])
        ends[process].append(at + takes)
        lines.append(f"{at / 1000:>10,.0f}{takes / 1000:>10,.0f}  {process:<10}{depth}{name}")
    return lines
