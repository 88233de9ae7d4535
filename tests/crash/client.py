"""A client process, for tests that kill it: waits for an order on stdin, visits, and never leaves by itself."""

import ast
import contextlib
import sys
import time

from sandboxd_client import Sandbox, SandboxError


def say(word: str) -> None:
    print(word, flush=True)


address, execution_id, seconds, code = (sys.stdin.readline().strip() for _ in range(4))
with contextlib.suppress(SandboxError), Sandbox(sys.argv[1], address) as sandbox:
    say("opened")
    sandbox.run_code(
        ast.literal_eval(code),
        execution_id=execution_id,
        timeout=float(seconds),
        on_stdout=lambda _: say("running"),
    )
    say("ran")
    time.sleep(60)
