"""Images by the command line, each way of making one: what runs of it, its digest, and errors that say what to do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from container_rooms import Room, Tier
from engine import OwnEngine

from sandboxd.executors.base import BoxSpec

pytestmark = pytest.mark.timeout(600)
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def make_wheel(directory: Path) -> Path:
    path = directory / "slice-1.2-py3-none-any.whl"
    info = "slice-1.2.dist-info"
    contents = {
        "slice_of_it.py": "VALUE = 7\n",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: slice\nVersion: 1.2\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
        names = [*contents, f"{info}/RECORD"]
        archive.writestr(f"{info}/RECORD", "".join(f"{name},,\n" for name in names))
    return path


@pytest.fixture
def requirements(tmp_path: Path) -> Path:
    path = tmp_path / "requirements.txt"
    path.write_text(f"# preload: slice_of_it\n{make_wheel(tmp_path)}\n")
    return path


Image = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def image(engine: OwnEngine) -> Image:
    """`sandboxd image` on the test engine."""

    def run(
        *words: str, before: tuple[str, ...] = (), **environment: str
    ) -> subprocess.CompletedProcess[str]:
        ours = {"SANDBOXD_ENGINE_SOCKET": str(engine.socket), "SANDBOXD_IMAGES_DIR": str(engine.images)}
        return subprocess.run(
            [*before, sys.executable, "-m", "sandboxd", "image", *words],
            env={**os.environ, **ours, "PIP_NO_INDEX": "1", **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def digests(image: Image) -> dict[str, str]:
    return {one["name"]: one["image_id"] for one in json.loads(image("list", "--json").stdout)}


async def opened(tier: Tier, name: str) -> Room:
    return Room(await tier.executor.open(BoxSpec("session-of-it", name, replace(tier.limits))))


async def test_packages_are_a_layer_of_their_own_and_the_same_twice(
    image: Image, make_tier: Any, requirements: Path
) -> None:
    built = image("build", "sliced", "-r", str(requirements))
    assert built.returncode == 0, built.stderr
    assert "Loading it into the engine" in built.stderr, "progress"
    assert "1 packages" in built.stdout
    assert "slice==1.2" in image("list").stdout
    assert image("build", "sliced-again", "-r", str(requirements)).returncode == 0
    found = digests(image)
    assert found["sliced"] == found["sliced-again"] != found["base"]
    room = await opened(make_tier("runc"), "sliced")
    assert await room.value("'slice_of_it' in __import__('sys').modules") == "True", "it is preloaded"
    assert await room.value("__import__('slice_of_it').VALUE") == "7"
    assert image("remove", "sliced-again").returncode == 0
    assert json.loads(image("inspect", "sliced").stdout)["in_engine"] is True, "the same files, another name"


async def test_a_root_file_system_s_tar_becomes_an_image(
    image: Image, make_tier: Any, engine: OwnEngine, tmp_path: Path
) -> None:
    """Of Debian's layout: made here, from this Python and the libraries that it is linked with."""
    container = engine.docker("create", "--entrypoint", "/x", "sandboxd/base")
    tar = tmp_path / "rootfs.tar"
    engine.docker("export", "--output", str(tar), container)
    engine.docker("rm", container)
    python = Path(json.loads(image("inspect", "base").stdout)["python"])
    if python.parent not in {Path("/usr/bin"), Path("/usr/local/bin")}:
        place = tmp_path / "usr/local/bin"
        place.mkdir(parents=True)
        (place / f"python{HERE}").symlink_to(python)
        subprocess.run(["tar", "-C", tmp_path, "-rf", tar, f"usr/local/bin/python{HERE}"], check=True)
    for name, packed in (("from-tar", tar), ("from-packed", _gzip(tar))):
        built = image("build", name, "--from-rootfs", str(packed))
        assert built.returncode == 0, built.stderr
    found = digests(image)
    assert found["from-tar"] == found["from-packed"]
    room = await opened(make_tier("runsc"), "from-tar")
    assert await room.value("__import__('json').dumps([1])") == "'[1]'"
    based = image("build", "on-it", "--base", "sandboxd/from-tar")
    assert based.returncode == 0, based.stderr
    assert digests(image)["on-it"] == found["from-tar"], "the same layers"


def _gzip(path: Path) -> Path:
    subprocess.run(["gzip", "--keep", "--fast", path], check=True)
    return path.with_name(path.name + ".gz")


def test_removing_takes_it_off_the_list_and_out_of_the_engine(image: Image, requirements: Path) -> None:
    requirements.write_text(requirements.read_text().replace("# preload: slice_of_it\n", ""))
    assert image("build", "brief", "-r", str(requirements)).returncode == 0
    assert image("remove", "brief").returncode == 0
    assert "brief" not in digests(image)
    for verb in ("inspect", "remove"):
        refused = image(verb, "brief")
        assert refused.returncode != 0
        assert "There is no image brief" in refused.stderr


def test_without_an_engine_nothing_is_begun(image: Image, tmp_path: Path) -> None:
    refused = image("build", "none", SANDBOXD_ENGINE_SOCKET=str(tmp_path / "none"))
    assert refused.returncode != 0
    assert "does not answer" in refused.stderr
    assert "--engine-socket" in refused.stderr
    assert "Taking" not in refused.stderr


def test_a_user_without_permission_is_told_so(image: Image) -> None:
    code = (
        "import os, sys; from sandboxd.cli.command_line import main; import sandboxd.cli.commands.image\n"
        "os.setgroups([]); os.setegid(65534); os.seteuid(65534); sys.exit(main(sys.argv[4:]))"
    )
    refused = image("build", "other", before=(sys.executable, "-c", code), HOME="/nonexistent")
    assert refused.returncode != 0
    assert "Permission denied" in refused.stderr
    assert "use a user who may connect to it" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_full_disk_is_a_typed_error_and_leaves_the_list_as_it_was(image: Image, tmp_path: Path) -> None:
    before = digests(image)
    small = tmp_path / "small"
    small.mkdir()
    script = f'mount -t tmpfs -o size=2m none {small} && exec "$@"'
    refused = image(
        "build", "big", before=("unshare", "--mount", "sh", "-c", script, "sh"), TMPDIR=str(small)
    )
    assert refused.returncode != 0
    assert "No space left on device" in refused.stderr
    assert "TMPDIR" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert digests(image) == before


def test_bad_requests_are_refused_by_name(image: Image, tmp_path: Path) -> None:
    empty = tmp_path / "empty.tar"
    subprocess.run(["tar", "-cf", empty, "-T", "/dev/null"], check=True)
    for words, said in (
        (("build", "Bad_Name"), "cannot name an image"),
        (("build", "x", "--from-rootfs", str(empty)), "no /usr/bin/python3.N"),
        (("build", "x", "--from-rootfs", str(tmp_path / "none")), "no readable tar"),
        (("build", "x", "--debootstrap", "../x"), "suite's name"),
        (("build", "x", "--base", "no/such:image"), "pulls nothing"),
        (("build", "x", "--base", "a", "--debootstrap", "b"), "not allowed with"),
    ):
        refused = image(*words)
        assert refused.returncode != 0, words
        assert said in refused.stderr, refused.stderr
