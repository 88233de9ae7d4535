"""The ways out through the standard library, tried in restricted sessions of the real daemon; and the same where nothing restricts.

The screen only watches here: what stops a program is layer 2 alone.
"""

from __future__ import annotations

import pytest
from daemons import StartDaemon
from sandboxd_client import Outcome, Sandbox

from sandboxd.guest.restricted import facades
from sandboxd.policy.rule_actions import FREE
from tests.unit.guest.facade_escapes import ESCAPES, MARKER

pytestmark = [pytest.mark.userns, pytest.mark.timeout(300)]

POLICY = f"""\
apiVersion: sandboxd/v1
kind: Policy
metadata: {{name: guards-alone, description: layer 2 under a screen that only watches}}
extends: default
restrict: {{enabled: true}}
screen:
  attributes: {{dynamic: audit, format: audit}}
  actions: {{{", ".join(f"{rule}: audit" for rule in sorted(FREE))}}}
"""

# What a library imports when it is called lies on the path, and the work directory is the program's to write.
PLANTED = """
with open("tzdata.py", "w") as file:
    file.write("print('ESC' + 'APED')")
import zoneinfo
try:
    zoneinfo.ZoneInfo("Nowhere/Land")
except zoneinfo.ZoneInfoNotFoundError as error:
    print("not found")
"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, start_module_daemon: StartDaemon) -> str:
    folder = tmp_path_factory.mktemp("policies")
    (folder / "guards-alone.yaml").write_text(POLICY)
    daemon = start_module_daemon("--policy-dir", str(folder), "--allow-unscreened")
    assert not daemon.error
    return daemon.address


@pytest.mark.parametrize("name", ESCAPES)
def test_no_way_out_through_a_library(address: str, name: str) -> None:
    with Sandbox("guards-alone", address) as sandbox:
        execution = sandbox.run_code(ESCAPES[name])
        assert execution.outcome is not Outcome.DENIED, "it must run to show anything"
        assert MARKER not in "".join(execution.logs.stdout), execution
        after = sandbox.run_code(
            "import textwrap, statistics\nprint(statistics.mean.__name__, hasattr(textwrap.TextWrapper, 'poison'))"
        )
        assert after.logs.stdout == ["mean False\n"], after


def test_nothing_planted_is_imported(address: str) -> None:
    with Sandbox("guards-alone", address) as sandbox:
        execution = sandbox.run_code(PLANTED)
    assert (execution.outcome, "".join(execution.logs.stdout)) == (Outcome.OK, "not found\n"), execution


def test_the_plant_works_where_nothing_restricts(address: str) -> None:
    with Sandbox("unscreened", address) as sandbox:
        execution = sandbox.run_code(PLANTED)
    assert MARKER in "".join(execution.logs.stdout), execution


# Beside an import, one use of what rests on files, entropy, clocks or the network stack of the host.
USES = """
import sys
stamp = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
uses = [
    stamp.isoformat(), len(secrets.token_bytes(8)), uuid.uuid4().version, hashlib.sha256(b"a").hexdigest()[:8],
    0 <= random.random() < 1, time.time() > 1e9, zlib.decompress(zlib.compress(b"a")), unicodedata.name("a"),
    tomllib.loads("a = 1"), asyncio.run(asyncio.sleep(0, "slept")), time.strptime("2024", "%Y").tm_year,
]
sys.stdout.write(repr(uses))
print("to stderr", file=sys.stderr)
"""


def test_every_facade_loads_and_works_in_a_jail(address: str) -> None:
    imports = "".join(f"import {name}\n" for name in sorted(facades.NAMES - {"__future__"}))
    with Sandbox("pure", address) as sandbox:
        execution = sandbox.run_code(imports + USES)
    assert execution.outcome is Outcome.OK, execution
    assert "".join(execution.logs.stdout) == (
        "['2024-07-01T00:00:00+02:00', 8, 4, 'ca978112', True, True, b'a', 'LATIN SMALL LETTER A', {'a': 1}, 'slept', 2024]"
    )
    assert "".join(execution.logs.stderr) == "to stderr\n"
