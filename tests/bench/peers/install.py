"""Installs the peers on request, away from the project: a virtual environment and an unpacked Debian package below `.venv`.

Versions are pinned, so that two runs compare the same things. What does not install is reported with its reason.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.setup import ROOT

HOME = ROOT / ".venv/peers"
PINNED = {
    "smolagents": "1.26.0",
    "pydantic-monty": "1.4.0",
    "llm-sandbox": "0.3.46",
    "RestrictedPython": "9.0",
    "docker": "7.2.0",
}
BUBBLEWRAP = "bubblewrap"
_PIP_SECONDS = 600


def install() -> dict[str, str]:
    """Install what is not there yet; return for each peer its version, or "!" and why it is not there."""
    record = HOME / "installed.json"
    found: dict[str, str] = json.loads(record.read_text()) if record.exists() else {}
    wanted = {f"{name}=={version}": name for name, version in PINNED.items()}
    if not python().exists():
        subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    for requirement, name in wanted.items():
        if found.get(name) != PINNED[name]:
            print(f"installing {requirement} into {HOME.relative_to(ROOT)}", file=sys.stderr, flush=True)
            found[name] = _pip(requirement) or PINNED[name]
    if found.get(BUBBLEWRAP, "!").startswith("!"):
        found[BUBBLEWRAP] = _bubblewrap()
    record.write_text(json.dumps(found, indent=2) + "\n")
    return found


def python() -> Path:
    """Return the peers' interpreter."""
    return HOME / "bin/python"


def _pip(requirement: str) -> str:
    command = [str(python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=_PIP_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return f"!not installed: pip took longer than {_PIP_SECONDS} s"
    return f"!not installed: {_last_line(ended.stderr)}" if ended.returncode else ""


def _bubblewrap() -> str:
    """Use the installed one, or unpack Debian's package beside the environment: nothing of the system changes."""
    if (installed := shutil.which("bwrap")) is not None:
        return _version(installed)
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        return "!not installed, and this is no Debian: install bubblewrap"
    with tempfile.TemporaryDirectory() as scratch:
        got = subprocess.run(
            ["apt-get", "download", BUBBLEWRAP], cwd=scratch, capture_output=True, text=True, check=False
        )
        packages = list(Path(scratch).glob("*.deb"))
        if got.returncode or not packages:
            return f"!not installed: {_last_line(got.stderr)} (apt-get update, or apt-get install bubblewrap)"
        subprocess.run(["dpkg", "-x", str(packages[0]), str(HOME / BUBBLEWRAP)], check=True)
    return _version(str(HOME / BUBBLEWRAP / "usr/bin/bwrap"))


def _version(bwrap: str) -> str:
    ended = subprocess.run([bwrap, "--version"], capture_output=True, text=True, check=False)
    return ended.stdout.split()[-1] if ended.returncode == 0 else f"!{_last_line(ended.stderr)}"


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"
