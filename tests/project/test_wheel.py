"""The wheel, away from its source: what is in it, and that a plain install is the thin client."""

from __future__ import annotations

import email
import importlib.util
import os
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

from sandboxd.screen.engine.catalogue import RULES

TOP = Path(__file__).parents[2]
# What a plain install brings: the two dependencies, and what grpcio itself needs.
BROUGHT = ("grpc", "google", "typing_extensions")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    work = tmp_path_factory.mktemp("wheel")
    # From a copy: building leaves files beside the source.
    with tarfile.open(work / "source.tar", "w") as archive:
        for name in ("pyproject.toml", "README.md", "LICENSE", "sandboxd", "client", "protos", "policies"):
            archive.add(TOP / name, name)
    with tarfile.open(work / "source.tar") as archive:
        archive.extractall(work / "source", filter="data")
    subprocess.run(
        [
            sys.executable,
            "-m",
            "pip",
            "wheel",
            "--quiet",
            "--no-deps",
            "--no-build-isolation",
            "--no-index",
            "--wheel-dir",
            str(work),
            str(work / "source"),
        ],
        check=True,
        capture_output=True,
    )
    return next(work.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a virtual environment with the wheel, grpcio and protobuf, and nothing else."""
    home = tmp_path_factory.mktemp("bare")
    venv.create(home, with_pip=False)
    site = next(home.glob("lib/python*/site-packages"))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    for name in BROUGHT:
        spec = importlib.util.find_spec(name)
        assert spec is not None
        places = list(spec.submodule_search_locations or ()) or [spec.origin]
        place = Path(str(places[0]))
        (site / place.name).symlink_to(place)
    return home / "bin" / "python"


def run(python: Path, program: str) -> subprocess.CompletedProcess[str]:
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(
        [str(python), "-c", program], cwd="/", env=environ, capture_output=True, text=True, check=False
    )


def test_it_holds_the_three_packages_and_their_data_and_nothing_else(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {
        "sandboxd",
        "sandboxd_client",
        "sandboxd_proto",
    }
    assert {
        "sandboxd/py.typed",
        "sandboxd/doctor/report.schema.json",
        "sandboxd/hosts/sandboxd.apparmor",
        "sandboxd/environments/data-science.txt",
        "sandboxd_client/py.typed",
        "sandboxd_proto/py.typed",
        "sandboxd_proto/v1/sandbox.proto",
    } <= names
    shipped = {path.name for path in (TOP / "policies").glob("*.yaml")}
    assert {name.rpartition("/")[2] for name in names if name.endswith(".yaml")} == shipped


def test_every_rule_s_page_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"sandboxd/screen/rules/{rule}.md" for rule in RULES} <= names


def test_every_source_file_is_in_it(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for top in (TOP / "sandboxd", TOP / "client" / "sandboxd_client", TOP / "protos" / "sandboxd_proto"):
        ours = {str(path.relative_to(top.parent)) for path in top.rglob("*.py")}
        assert ours - names == set()


def test_a_plain_install_asks_for_grpcio_and_protobuf_alone(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    plain = [row for row in metadata.get_all("Requires-Dist", []) if "extra ==" not in row]
    assert sorted(row.partition(">")[0] for row in plain) == ["grpcio", "protobuf"]
    assert metadata["License-Expression"] == "Apache-2.0"


def test_the_client_imports_with_those_alone(bare: Path) -> None:
    program = (
        "import sys, sandboxd_client\n"
        "for name in sandboxd_client.__all__: getattr(sandboxd_client, name)\n"
        "print(sorted(name for name in ('pydantic', 'yaml', 'psutil', 'rich', 'httpx', 'pyseccomp') if name in sys.modules))\n"
        "print(sandboxd_client.__file__)"
    )
    answer = run(bare, program)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0] == "[]"
    assert str(TOP) not in answer.stdout


def test_the_command_says_what_it_lacks(bare: Path) -> None:
    answer = run(bare, "import sys\nfrom sandboxd.cli import main\nsys.exit(main(['serve']))")
    assert answer.returncode == 6
    assert "NOT_INSTALLED" in answer.stderr
    assert "pip install 'sandboxd[daemon,agent]'" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_rules_are_explained_with_those_alone(bare: Path) -> None:
    answer = run(bare, "import sys\nfrom sandboxd.cli import main\nsys.exit(main(['explain', 'SBX301']))")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.startswith("# SBX301 import-not-allowed\n")


def test_top_folders_are_not_importable_by_accident(bare: Path) -> None:
    assert run(bare, "import client").returncode != 0
    assert run(bare, "import protos").returncode != 0
