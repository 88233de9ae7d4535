"""An image as `docker load` takes it, byte for byte the same from the same files: its digest says what is in it.

Format: moby/docker-image-spec v1.2, "Combined image JSON + filesystem changeset format". Names are sorted, times are 0,
owners are root: nothing of the machine that built it is left.
"""

from __future__ import annotations

import hashlib
import importlib.util as _util
import io
import json
import platform
import shutil
import stat
import struct
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_COPY_BYTES = 1 << 20
_PYC_HEADER = 16
_TIME = "1970-01-01T00:00:00Z"


def write_layer(
    target: Path, trees: Mapping[str, Path], links: Mapping[str, str], texts: Mapping[str, str]
) -> None:
    """Write a layer.

    Args:
        target: the tar file to make.
        trees: files and directories by their place in the image; directories with all that is in them, links as links.
        links: symbolic links by place.
        texts: small files by place.
    """
    members: dict[str, tuple[tarfile.TarInfo, Path | bytes | None]] = {}
    for place, source in trees.items():
        for path, name in _walk(source, place.strip("/")):
            members[name] = _member(path, name)
    for place, destination in links.items():
        info = _info(place.strip("/"), tarfile.SYMTYPE, 0o777)
        info.linkname = destination
        members[info.name] = (info, None)
    for place, text in texts.items():
        info = _info(place.strip("/"), tarfile.REGTYPE, 0o644)
        info.size = len(text.encode())
        members[info.name] = (info, text.encode())
    for name in list(members):
        for parent in Path(name).parents:
            if str(parent) != "." and str(parent) not in members:
                members[str(parent)] = (_info(str(parent), tarfile.DIRTYPE, 0o755), None)
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(members):
            info, content = members[name]
            if isinstance(content, Path):
                with content.open("rb") as file:
                    tar.addfile(info, file)
            else:
                tar.addfile(info, io.BytesIO(content) if content is not None else None)


def _walk(source: Path, name: str) -> Iterable[tuple[Path, str]]:
    yield source, name
    if source.is_dir() and not source.is_symlink():
        for entry in sorted(source.iterdir()):
            if entry.suffix != ".pyc" or _settled(entry):
                yield from _walk(entry, f"{name}/{entry.name}" if name else entry.name)


def _member(path: Path, name: str) -> tuple[tarfile.TarInfo, Path | bytes | None]:
    found = path.lstat()
    mode = (
        stat.S_IMODE(found.st_mode) & 0o755 | 0o444
    )  # no set-id bits, nobody's but root's to write, all can read
    if stat.S_ISLNK(found.st_mode):
        info = _info(name, tarfile.SYMTYPE, 0o777)
        info.linkname = str(path.readlink())
        return info, None
    if stat.S_ISDIR(found.st_mode):
        return _info(name, tarfile.DIRTYPE, mode | 0o111), None
    if not stat.S_ISREG(found.st_mode):
        return _info(name, tarfile.REGTYPE, 0o444), b""  # a device or socket has no place in an image
    info = _info(name, tarfile.REGTYPE, mode)
    info.size = found.st_size
    return info, (_settled(path) if path.suffix == ".pyc" else path)


def _settled(path: Path) -> bytes:
    """Return compiled code that is taken whatever time its source bears, b"" if it is not of the source beside it.

    PEP 552: a word of flags, then the source's time and size, or its hash; 1 says "by hash, do not check".
    """
    source = path.parent.parent / (path.name.partition(".")[0] + ".py")
    raw = path.read_bytes()
    if len(raw) < _PYC_HEADER or not source.is_file():
        return b""
    flags, seconds, size = struct.unpack_from("<III", raw, 4)
    found = source.stat()
    if not flags and (seconds, size) != (int(found.st_mtime) & 0xFFFFFFFF, found.st_size & 0xFFFFFFFF):
        return b""
    return raw[:4] + struct.pack("<I", 1) + _util.source_hash(source.read_bytes()) + raw[_PYC_HEADER:]


def _info(name: str, kind: bytes, mode: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = kind, mode, 0
    info.uid = info.gid = 0
    return info


def write_archive(target: Path, tag: str, layers: list[Path]) -> str:
    """Write the archive of an image with these layers; return the digest of its configuration.

    Args:
        target: the tar file to make.
        tag: "name:tag", for people; nothing of ours looks an image up by it.
        layers: uncompressed tar files, lowest first.
    """
    digests = [_sha256(layer) for layer in layers]
    config: dict[str, Any] = {
        "architecture": _ARCHITECTURES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _TIME,
        "config": {},  # no entry point, no command, no health check, no volumes, no variables
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
        "history": [{"created": _TIME, "created_by": "sandboxd image build"} for _ in layers],
    }
    raw = json.dumps(config, sort_keys=True, separators=(",", ":")).encode()
    image = hashlib.sha256(raw).hexdigest()
    names = [f"{digest}/layer.tar" for digest in digests]
    manifest = [{"Config": f"{image}.json", "RepoTags": [tag], "Layers": names}]
    with tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in ((f"{image}.json", raw), ("manifest.json", json.dumps(manifest).encode())):
            info = _info(name, tarfile.REGTYPE, 0o644)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for name, layer in zip(names, layers, strict=True):
            info = _info(name, tarfile.REGTYPE, 0o644)
            info.size = layer.stat().st_size
            with layer.open("rb") as file:
                tar.addfile(info, file)
    return f"sha256:{image}"


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_COPY_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def copy_tar(source: Path, target: Path) -> None:
    """Copy a root file system's tar, decompressed: a layer's digest is of its plain bytes."""
    import bz2  # noqa: PLC0415  beside gzip and lzma rarely needed
    import gzip  # noqa: PLC0415
    import lzma  # noqa: PLC0415

    with source.open("rb") as file:
        magic = file.read(6)
    opener: Any = open
    for start, reader in ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ", lzma.open)):
        if magic.startswith(start):
            opener = reader
    with opener(source, "rb") as packed, target.open("wb") as plain:
        shutil.copyfileobj(packed, plain, _COPY_BYTES)
