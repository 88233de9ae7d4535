"""An image's archive: the same bytes from the same files, and nothing of the machine in it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import py_compile
import tarfile
from pathlib import Path

import pytest

from sandboxd.errors import Code, SandboxdError
from sandboxd.images.archive import copy_tar, write_archive, write_layer
from sandboxd.images.rootfs import find_python


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("x")
    (root / "bin/tool").chmod(0o6777)
    (root / "bin/link").symlink_to("tool")
    (root / "module.py").write_text("x = 1\n")
    py_compile.compile(str(root / "module.py"))
    os.mkfifo(root / "pipe")
    return root


def layer_of(tree: Path, target: Path) -> bytes:
    write_layer(target, {"/opt/tree": tree}, {"/lib": "usr/lib"}, {"/etc/passwd": "root:x:0:0::/:\n"})
    return target.read_bytes()


def test_times_and_owners_change_nothing(tree: Path, tmp_path: Path) -> None:
    first = layer_of(tree, tmp_path / "a.tar")
    for path in (tree, tree / "bin", tree / "bin/tool"):
        os.utime(path, (1, 2))
    assert layer_of(tree, tmp_path / "b.tar") == first
    digests = {write_archive(tmp_path / f"{n}.tar", "x:latest", [tmp_path / "a.tar"]) for n in range(2)}
    assert len(digests) == 1


def test_a_layer_holds_no_set_id_bit_no_device_and_no_writable_file(tree: Path, tmp_path: Path) -> None:
    layer_of(tree, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        members = {one.name: one for one in tar}
    assert members["opt/tree/bin/tool"].mode == 0o755
    assert all(one.isreg() or one.isdir() or one.issym() for one in members.values())
    assert all(not one.mode & 0o7022 for one in members.values() if not one.issym())
    assert {one.uid for one in members.values()} == {0}
    assert {"opt", "etc"} <= members.keys()


def test_compiled_code_is_kept_and_taken_whatever_the_time(tree: Path, tmp_path: Path) -> None:
    layer_of(tree, tmp_path / "a.tar")
    with tarfile.open(tmp_path / "a.tar") as tar:
        compiled = [one for one in tar if one.name.endswith(".pyc")]
        raw = tar.extractfile(compiled[0]).read()  # type: ignore[union-attr]
    assert len(compiled) == 1
    assert raw[4:8] == b"\1\0\0\0"  # PEP 552: by hash, not checked
    (tree / "module.py").write_text("x = 22\n")  # what is not of its source is left out
    layer_of(tree, tmp_path / "b.tar")
    with tarfile.open(tmp_path / "b.tar") as tar:
        assert [one.name for one in tar if one.name.endswith(".pyc")] == []


def test_the_configuration_names_its_layers_and_starts_nothing(tree: Path, tmp_path: Path) -> None:
    layer = layer_of(tree, tmp_path / "a.tar")
    digest = write_archive(tmp_path / "image.tar", "sandboxd/x:latest", [tmp_path / "a.tar"])
    with tarfile.open(tmp_path / "image.tar") as tar:
        manifest = json.load(tar.extractfile("manifest.json"))[0]  # type: ignore[arg-type]
        raw = tar.extractfile(manifest["Config"]).read()  # type: ignore[union-attr]
    assert digest == "sha256:" + hashlib.sha256(raw).hexdigest()
    config = json.loads(raw)
    assert config["config"] == {}
    assert config["rootfs"]["diff_ids"] == ["sha256:" + hashlib.sha256(layer).hexdigest()]


def test_the_newest_python_is_found_and_its_lack_is_told(tmp_path: Path) -> None:
    layer = tmp_path / "rootfs.tar"
    with tarfile.open(layer, "w") as tar:
        for name in ("./usr/bin/python3.9", "usr/bin/python3.11", "usr/bin/python3", "opt/python3.99"):
            tar.addfile(tarfile.TarInfo(name), io.BytesIO())
    assert find_python([layer]) == ("/usr/bin/python3.11", "3.11")
    with tarfile.open(layer, "w"):
        pass
    with pytest.raises(SandboxdError) as refused:
        find_python([layer])
    assert refused.value.code == Code.ENVIRONMENT_FAILED


@pytest.mark.parametrize("module", ["gzip", "bz2", "lzma"])
def test_a_compressed_root_file_system_is_taken_plain(tmp_path: Path, module: str) -> None:
    packed = tmp_path / "packed"
    packed.write_bytes(__import__(module).compress(b"content"))
    copy_tar(packed, tmp_path / "plain")
    assert (tmp_path / "plain").read_bytes() == b"content"
