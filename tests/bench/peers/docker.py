"""`docker run` beside ours, where an engine runs already. The benchmark starts none and pulls nothing."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

from tests.bench.peers.kinds import Peer, absent, command
from tests.bench.setup import Setup

DEFAULT_SOCKET = "/var/run/docker.sock"
DEFAULT_IMAGE = "python:3.11-slim"
_NAME = "docker run"
_ISOLATION = (
    "namespaces, seccomp profile, capabilities dropped, memory and process limits; an engine that is root"
)


def docker(setup: Setup) -> Peer:
    """Return the peer, or why there is none."""
    path = setup.docker_socket or DEFAULT_SOCKET
    client = shutil.which("docker")
    if client is None:
        return absent(_NAME, _ISOLATION, "no docker client is installed")
    if not Path(path).exists() or not stat.S_ISSOCK(Path(path).stat().st_mode):
        return absent(_NAME, _ISOLATION, f"no engine: {path} is no socket (--docker-socket names another)")
    base = [client, "-H", f"unix://{path}"]
    image = setup.docker_image or DEFAULT_IMAGE
    found = subprocess.run(
        [*base, "image", "inspect", "--format", "{{.Id}}", image], capture_output=True, text=True, check=False
    )
    if found.returncode:
        lines = found.stderr.strip().splitlines()
        reason = lines[-1] if lines else "no answer"
        return absent(_NAME, _ISOLATION, f"{reason[:150]} (--docker-image names another)")
    limits = ["--network=none", "--memory=512m", "--pids-limit=64", "--read-only", "--cap-drop=ALL"]
    start = [*base, "run", "--rm", *limits, "--security-opt=no-new-privileges", image, "python", "-I", "-c"]
    return command(f"{_NAME} {image}", _ISOLATION, start, None, why_no_pandas="the image has no pandas")
