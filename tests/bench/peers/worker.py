"""Runs one Python peer inside its own interpreter: a line of JSON in, a line out. Started by `kinds.py`.

The clock is here, next to the call, so that the pipe between the benchmark and this process costs the peer nothing.
Arguments: NAME OPTIONS, where OPTIONS is a JSON object.
"""

# ruff: noqa: PLC0415, N813, BLE001  # only the peer that was asked for is imported; what it raises is its answer
import ast
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, ClassVar

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from language import LANGUAGE
from work import CODE as WORK
from work import LOOP, PANDAS, WARM

CODE = {**WORK, **LANGUAGE}
SESSION = (WARM, LOOP, *LANGUAGE)

Options = dict[str, Any]
Names = dict[str, Any]


class CPython:
    """The interpreter itself: the measure of the loop."""

    def __init__(self, options: Options) -> None:
        self.names: Names = {}

    def call(self, workload: str) -> None:
        exec(compile(CODE[workload], "<cell>", "exec"), self.names)


class Pure:
    """Layer 2 of this project: the guest's guards around a program from its compiler."""

    def __init__(self, options: Options) -> None:
        sys.path.insert(0, options["root"])
        sys.path.append(options["restrictedpython"])
        from sandboxd.guest.restricted.restriction import Restriction
        from sandboxd.restrict import compile_program

        self.compile, self.restriction = compile_program, Restriction("/nonexistent")
        self.names: Names = {}
        self.restriction.prepare(self.names)
        self.programs: dict[str, list[Any]] = {}

    def call(self, workload: str) -> None:
        if workload not in self.programs:
            made = self.compile(CODE[workload], ast.parse(CODE[workload]))
            self.programs[workload] = self.restriction.load(made.program, "<cell>")
        for part in self.programs[workload]:
            exec(part, self.names)


class Smolagents:
    def __init__(self, options: Options) -> None:
        from smolagents.local_python_executor import LocalPythonExecutor

        authorized = ["pandas"] if options["site"] else []  # it refuses to start without what it authorizes
        self.make = lambda: LocalPythonExecutor(additional_authorized_imports=authorized)
        self.session = self.new()

    def new(self) -> Any:
        executor = self.make()
        executor.send_tools({})
        return executor

    def call(self, workload: str) -> None:
        (self.session if workload in SESSION else self.new())(CODE[workload])


class Monty:
    lacks: ClassVar = {PANDAS: "its own interpreter of a part of Python: no such module"}

    def __init__(self, options: Options) -> None:
        import pydantic_monty

        self.pool = pydantic_monty.Monty(min_processes=2).__enter__()
        self.session = self.pool.checkout().__enter__()

    def call(self, workload: str) -> None:
        if workload in SESSION:
            self.session.feed_run(CODE[workload])
        else:
            with self.pool.checkout() as session:
                session.feed_run(CODE[workload])


class Restricted:
    lacks: ClassVar = {PANDAS: "its guards hold only where no raw module is handed out"}

    def __init__(self, options: Options) -> None:
        import RestrictedPython as restricted
        from RestrictedPython import PrintCollector

        self.compile, self.print = restricted.compile_restricted, PrintCollector
        self.guards = {"__builtins__": {**restricted.safe_builtins, "range": range}, "_getiter_": iter}
        self.names = self.new()

    def new(self) -> Names:
        return {**self.guards, "_print_": self.print, "_getattr_": getattr}

    def call(self, workload: str) -> None:
        names = self.names if workload in SESSION else self.new()
        exec(self.compile(CODE[workload], "<cell>", "exec"), names)


class LlmSandbox:
    lacks: ClassVar = {WARM: "no variables between runs: each is a new interpreter"}

    def __init__(self, options: Options) -> None:
        from llm_sandbox import SandboxBackend, SandboxSession
        from llm_sandbox.local.config import DEFAULT_READ_ONLY_PATHS, LocalSandboxConfig

        self.site = options["site"]
        added = [*options["paths"], *([self.site] if self.site else [])]
        paths = [path for path in added if not path.startswith(DEFAULT_READ_ONLY_PATHS)]
        config = LocalSandboxConfig(
            python_executable=options["python"], read_only_paths=(*DEFAULT_READ_ONLY_PATHS, *paths)
        )
        self.open = lambda: SandboxSession(
            backend=SandboxBackend.BUBBLEWRAP,
            bwrap_path=options["bwrap"],
            sandbox_config=config,
            skip_environment_setup=True,
        )

    def call(self, workload: str) -> None:
        code = CODE[workload]
        if workload == PANDAS:
            code = f"import sys\nsys.path.append({self.site!r})\n{code}"
        with self.open() as session:
            ended = session.run(code)
        if ended.exit_code:
            raise RuntimeError(ended.stderr)


class LlmSandboxDocker:
    """A container a run, made as its defaults are, from an image that is there already and needs no packages."""

    lacks: ClassVar = dict.fromkeys((WARM, PANDAS, LOOP), "not asked for")

    def __init__(self, options: Options) -> None:
        import docker
        from llm_sandbox import SandboxBackend, SandboxSession

        client = docker.DockerClient(base_url=options["engine"])
        sleep = [options["python"], "-I", "-c", "import time; time.sleep(3600)"]
        configs = {
            "entrypoint": sleep[:1],
            "command": sleep[1:],
            "network_mode": "none",
            "volumes": {options["tools"]: {"bind": "/tools", "mode": "ro"}},
            "environment": {"PATH": "/tools"},
        }
        self.open = lambda: SandboxSession(
            backend=SandboxBackend.DOCKER,
            client=client,
            image=options["image"],
            keep_template=True,
            skip_environment_setup=True,
            runtime_configs={**configs, "environment": dict(configs["environment"])},
        )

    def call(self, workload: str) -> None:
        with self.open() as session:
            ended = session.run(CODE[workload])
        if ended.exit_code:
            raise RuntimeError(ended.stderr)


class SmolagentsDocker:
    """Its image comes from a registry, its kernel from PyPI while that is built, its channel is a published port."""

    lacks: ClassVar = dict.fromkeys((WARM, PANDAS, LOOP), "not asked for")

    def __init__(self, options: Options) -> None:
        os.environ["DOCKER_HOST"] = options["engine"]
        from smolagents.monitoring import AgentLogger, LogLevel
        from smolagents.remote_executors import DockerExecutor

        self.open = lambda: DockerExecutor([], AgentLogger(level=LogLevel.OFF), build_new_image=False)

    def call(self, workload: str) -> None:
        executor = self.open()
        try:
            executor.run_code_raise_errors(CODE[workload])
        finally:
            executor.cleanup()


PEERS: dict[str, Callable[[Options], Any]] = {
    "cpython": CPython,
    "pure": Pure,
    "smolagents": Smolagents,
    "monty": Monty,
    "restricted": Restricted,
    "llm-sandbox": LlmSandbox,
    "llm-sandbox-docker": LlmSandboxDocker,
    "smolagents-docker": SmolagentsDocker,
}


def main() -> None:
    del sys.path[0]  # or `import docker` would find the module beside this one
    # What peers print goes nowhere; the answers have a descriptor of their own.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    options = json.loads(sys.argv[2])
    if options["site"]:
        sys.path.append(options["site"])
    try:
        peer = PEERS[sys.argv[1]](options)
        lacks = getattr(peer, "lacks", {})
        answers.write(json.dumps({"lacks": lacks}) + "\n")
    except BaseException as error:
        answers.write(json.dumps({"error": f"{type(error).__name__}: {error}"}) + "\n")
        raise
    for line in sys.stdin:
        workload = json.loads(line)
        try:
            started = time.perf_counter()
            peer.call(workload)
            answer: dict[str, object] = {"seconds": time.perf_counter() - started}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"[:300]}
        answers.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
