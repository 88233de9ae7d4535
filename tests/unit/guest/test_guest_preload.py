"""What the zygote does once: `warm`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.guest_harness import ROOT


def in_zygote(script: str, *, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    head = f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport sandboxd.guest\n"
    return subprocess.run(
        [sys.executable, "-I", "-S", "-B", "-c", head + script],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
    )


def test_the_package_is_cheap_to_import() -> None:
    done = in_zygote(
        "print(sorted(m for m in sys.modules if m.startswith('sandboxd')), 'asyncio' in sys.modules)"
    )
    assert done.stdout == "['sandboxd', 'sandboxd.guest'] False\n"


def test_warm_loads_all_that_serve_needs() -> None:
    """After the fork the package's files may be out of reach."""
    script = """
sandboxd.guest.warm({"preload": ["colorsys"]})
assert "colorsys" in sys.modules
import os, socket
ours, theirs = socket.socketpair()
if os.fork() == 0:
    ours.close()
    sys.addaudithook(lambda name, args: name == "import" and os.write(1, f"imported {args[0]}\\n".encode()))
    sandboxd.guest.serve(theirs, {"workdir": "/"})
ours.recv(100)
ours.close()
theirs.close()
os.wait()
"""
    done = in_zygote(script)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_a_missing_module_is_an_import_error() -> None:
    assert (
        "ModuleNotFoundError: No module named 'not_there'"
        in in_zygote("sandboxd.guest.warm({'preload': ['not_there']})").stderr
    )


def test_a_module_that_starts_a_thread_is_refused(tmp_path: Path) -> None:
    (tmp_path / "threaded.py").write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    )
    done = in_zygote(f"sys.path.append({str(tmp_path)!r})\nsandboxd.guest.warm({{'preload': ['threaded']}})")
    assert "RuntimeError: 1 threads are left" in done.stderr


@pytest.mark.parametrize("module", ["settings", "loop", "preload", "hygiene", "display", "errors"])
def test_only_the_standard_library_is_imported(module: str) -> None:
    script = f"import sandboxd.guest.{module}\nprint([m for m in sys.modules if m.partition('.')[0] not in sys.stdlib_module_names | {{'sandboxd', '__main__'}}], [m for m in sys.modules if m.startswith('sandboxd.') and not m.startswith('sandboxd.guest')])"
    done = in_zygote(script)
    assert done.stdout == "[] []\n", done.stderr
