"""The guest on every Python it may meet: those on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.guest_harness import Guest


def interpreters() -> dict[str, str]:
    """Version to path: the running interpreter, and those that PATH knows and that start."""
    found = {f"{sys.version_info.major}.{sys.version_info.minor}": sys.executable}
    for minor in range(9, 15):
        for directory in os.get_exec_path():
            path = shutil.which(f"python3.{minor}", path=directory)
            real = path and _starts(path, f"3.{minor}")
            if real:
                found.setdefault(f"3.{minor}", real)
                break
    return found


def _starts(path: str, version: str) -> str | None:
    """Give the interpreter behind a name, which may be a version manager's shim that starts nothing."""
    script = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
    try:
        done = subprocess.run([path, "-c", script], capture_output=True, text=True, timeout=20, check=False)
    except OSError:
        return None
    lines = done.stdout.splitlines()
    return lines[1] if done.returncode == 0 and lines[0] == version else None


INTERPRETERS = interpreters()


@pytest.mark.parametrize(
    "python", [pytest.param(path, id=version) for version, path in sorted(INTERPRETERS.items())]
)
def test_smoke(python: str) -> None:
    with Guest(python, site=False) as guest:
        assert guest.value("1 + 1") == "2"
        guest.value("print('out')")
        assert guest.output() == "out\n"
        assert guest.value("import asyncio\nawait asyncio.sleep(0, 'a')") == "'a'"
        error = guest.run("import json\ndef f():\n    json.loads('{')\nf()").error
        assert (error["name"], error["line"]) == ("JSONDecodeError", 3)
        assert "    json.loads('{')" in error["traceback"]
        assert "json/decoder.py" in error["traceback"]
        assert "sandboxd" not in error["traceback"]
        error = guest.run(
            "try:\n    1/0\nexcept ZeroDivisionError as e:\n    raise KeyError('k') from e"
        ).error
        assert "direct cause" in error["traceback"]
        error = guest.run("a = (1").error
        assert (error["name"], error["line"]) == ("SyntaxError", 1)
        assert "Traceback" not in error["traceback"]
        assert "a = (1" in error["traceback"]
        assert guest.run("return 5").error["traceback"].count("return 5") == 1
        assert guest.run("import nothing_here").traceback.splitlines()[-1].startswith("Hint: 'nothing_here'")
        assert (
            guest.run("final_answer({'a': [1.5, None]}); None").result["final"]["json"]
            == '{"a": [1.5, null]}'
        )
        (display,) = guest.run("class H:\n    def _repr_html_(self): return '<b>'\nH()").displays
        assert display["data"]["text/html"] == "<b>"
        code = "import dataclasses\n@dataclasses.dataclass\nclass P:\n    x: int = 1\nP()"
        assert guest.value(code) == "P(x=1)"
        guest.begin("while True: pass")
        storm = guest.storm(0.3)
        assert guest.finish().error["name"] == "KeyboardInterrupt"
        storm.join()
        guest.run("import sys\nsys.stdout.close()")
        guest.value("print('again')")
        assert guest.output() == "again\n"
        guest.control.close()
        assert guest.wait() == 0
