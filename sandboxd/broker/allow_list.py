"""The allow-list of images: a file each, which says by digest what the name means. Written once, read strictly.

What is not here is not run: no tag is resolved, nothing is pulled. A record decides which program of an image becomes a
container's init, so an unknown key, a wrong type or a foreign name is refused, never repaired.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from sandboxd.errors import Code, SandboxdError

_FORMAT = 1
_MAX_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_ID = re.compile(r"sha256:[0-9a-f]{64}")
_PATH = re.compile(r"/[A-Za-z0-9_./+-]{1,200}")
_VERSION = re.compile(r"3\.\d{1,3}")


@dataclass(frozen=True, slots=True)
class Image:
    """An image that containers may be made of.

    Attributes:
        name: what policies call it, as `isolate.environment`.
        image_id: the digest of its configuration, and through that of every layer.
        python: its interpreter.
        version: "major.minor".
        sys_path: directories with packages, to append.
        packages: what is installed there, "name==version", sorted.
        preload: modules that a container imports before it waits.
        origin: how it was made, for people.
    """

    name: str
    image_id: str
    python: str
    version: str
    sys_path: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    preload: tuple[str, ...] = ()
    origin: str = ""


def check_name(name: str) -> str:
    """Return `name` if an image may be called so.

    Raises:
        SandboxdError: INVALID_REQUEST.
    """
    if _NAME.fullmatch(name) is None:
        raise SandboxdError(
            Code.INVALID_REQUEST,
            f"{name[:80]!r} cannot name an image.",
            remedy="Use 1 to 63 of a-z, 0-9 and dash, not starting with a dash.",
        )
    return name


def image_names(root: Path) -> list[str]:
    """Name what the list holds, sorted, whether or not it can be used."""
    try:
        return sorted(path.stem for path in root.iterdir() if path.suffix == ".json" and path.name[0] != ".")
    except FileNotFoundError:
        return []


def load_image(root: Path, name: str) -> Image:
    """Read one record.

    Raises:
        SandboxdError: ENVIRONMENT_NOT_FOUND, ENVIRONMENT_FAILED.
    """
    path = root / f"{check_name(name)}.json"
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        known = ", ".join(image_names(root)) or "none"
        raise SandboxdError(
            Code.ENVIRONMENT_NOT_FOUND,
            f"There is no image {name}; there are: {known}.",
            remedy=f"`sandboxd image build {name}` makes it; nothing is pulled when a session opens.",
            environment=name,
        ) from None
    except OSError as error:
        raise broken(name, str(error.strerror)) from error
    try:
        return _image(name, raw)
    except (ValueError, TypeError, RecursionError) as error:
        raise broken(name, f"its record is unusable: {error}") from error


def save_image(root: Path, image: Image) -> None:
    """Write a record, whole or not at all; it replaces one of that name."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    _image(image.name, raw := _document(image))  # what could not be read back is not written
    temporary = root / f".{image.name}.{os.getpid()}"
    try:
        with temporary.open("xb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(root / f"{image.name}.json")
    finally:
        temporary.unlink(missing_ok=True)


def forget_image(root: Path, name: str) -> None:
    """Remove a record: from now on no container is made of that image."""
    with contextlib.suppress(FileNotFoundError):
        (root / f"{check_name(name)}.json").unlink()


def broken(name: str, reason: str) -> SandboxdError:
    """Build the error for an image that cannot be used."""
    return SandboxdError(
        Code.ENVIRONMENT_FAILED,
        f"Image {name} cannot be used: {reason}.",
        remedy=f"Build it again: sandboxd image build {name} ...",
        environment=name,
    )


def _document(image: Image) -> bytes:
    return json.dumps({"format": _FORMAT, **asdict(image)}, indent=2).encode() + b"\n"


def _image(name: str, raw: bytes) -> Image:
    if len(raw) > _MAX_BYTES:
        raise ValueError("too large")
    document: Any = json.loads(raw)
    if not isinstance(document, dict) or document.pop("format", None) != _FORMAT:
        raise ValueError("not of this format")
    if document.keys() != {one.name for one in fields(Image)}:
        raise ValueError("unknown or missing keys")
    for key in ("sys_path", "packages", "preload"):
        document[key] = _texts(key, document[key])
    for key, form in (("image_id", _ID), ("python", _PATH), ("version", _VERSION)):
        if not isinstance(document[key], str) or form.fullmatch(document[key]) is None:
            raise ValueError(f"{key} has not its form")
    if document["name"] != name or not isinstance(document["origin"], str):
        raise ValueError("it is of another name")
    if not all(_PATH.fullmatch(path) for path in document["sys_path"]):
        raise ValueError("sys_path are no paths")
    return Image(**document)


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and len(one) <= 200 for one in value):  # noqa: PLR2004
        raise ValueError(f"{key} is no list of texts")
    return tuple(value)
