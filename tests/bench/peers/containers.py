"""Peers that run code in containers: llm-sandbox's Docker backend and smolagents' executor, on the benchmark's engine."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from tests.bench.engines import BenchEngine
from tests.bench.measure import Timed
from tests.bench.peers import install, kinds
from tests.bench.peers.work import ONE_SHOT
from tests.bench.rows import MissingError
from tests.bench.setup import Setup

LLM_SANDBOX, SMOLAGENTS = "llm-sandbox, Docker backend", "smolagents DockerExecutor"
# The shell tools that llm-sandbox calls, and the name by which it starts Python: images of ours have neither.
_TOOL = "#!{python} -I\nimport os, sys\nfor path in sys.argv[1:]:\n    path[0] == '-' or os.makedirs(path, exist_ok=True)\n"


@contextlib.contextmanager
def container_peers(setup: Setup, engine: BenchEngine) -> Iterator[list[tuple[str, Timed | str]]]:
    """Yield each peer's name with its one-shot, or why there is none."""
    if setup.peers is None or not (setup.peers / "installed.json").exists():
        yield [(name, "installed by --peers alone") for name in (LLM_SANDBOX, SMOLAGENTS)]
        return
    tools = engine.own.home / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "mkdir").write_text(_TOOL.format(python=engine.python))
    (tools / "mkdir").chmod(0o755)
    with contextlib.suppress(FileExistsError):
        (tools / "python").symlink_to(engine.python)
    options = {
        "engine": f"unix://{engine.own.socket}",
        "image": engine.image_id,
        "python": engine.python,
        "tools": str(tools),
        "site": None,
    }
    with contextlib.ExitStack() as stack:
        found: list[tuple[str, Timed | str]] = []
        for name, key in ((LLM_SANDBOX, "llm-sandbox-docker"), (SMOLAGENTS, "smolagents-docker")):
            try:
                peer = stack.enter_context(kinds.library(name, "", install.python(), key, options))
                operation = peer.operations[ONE_SHOT]
                if not isinstance(operation, str):
                    operation()
                found.append((name, operation))
            except MissingError as reason:
                # Without the engine's words on a registry that it does not reach.
                found.append((name, str(reason).partition(": Get ")[0]))
        yield found
