"""The state directory: one daemon at a time, a format version, the secret key, the daemon's incarnation.

    lock          held by flock for the daemon's life: a second daemon exits 3
    version       format of the directory
    key           32 random bytes, made once; session tokens are made under it
    incarnation   how many daemons have used the directory
    log/          the segments

Files are replaced by rename, so a crash leaves the old or the new one. The directory is 0700 and the daemon's
own: whoever else may write in it could swap the key.
"""

from __future__ import annotations

import fcntl
import os
import secrets
from typing import TYPE_CHECKING, Self

from sandboxd.errors import Code, StartError
from sandboxd.log.segments import sync_directory, write_all

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "1"
_KEY_BYTES = 32
_MAX_FILE_BYTES = 4096


class StateDir:
    """A locked state directory; close it, or use it as a context manager.

    Attributes:
        path: the directory.
        key: the secret key of this directory.
        incarnation: a new one for each open, later ones sort behind earlier ones.
    """

    def __init__(self, path: Path, lock: int, key: bytes, incarnation: str) -> None:
        self.path = path
        self.key = key
        self.incarnation = incarnation
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> StateDir:
        """Make the directory when it is not there, lock it, check its version, and begin a new incarnation.

        Raises:
            StartError: STATE_LOCKED, STATE_VERSION, CONFIG_INVALID when it cannot be used at all.
        """
        try:
            _make_private(path)
            lock = _lock(path)
            try:
                _check_version(path)
                key, incarnation = _read_or_make_key(path), _next_incarnation(path)
            except BaseException:
                os.close(lock)
                raise
        except OSError as error:
            raise _unusable(path, f"cannot be used: {error}") from error
        return cls(path, lock, key, incarnation)

    @property
    def log_dir(self) -> Path:
        """Where the log's segments are."""
        return self.path / "log"

    def close(self) -> None:
        """Give the directory up. Idempotent."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _make_private(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = path.stat()
    if status.st_uid != os.geteuid():
        raise _unusable(path, f"belongs to uid {status.st_uid}, the daemon runs as uid {os.geteuid()}")
    if status.st_mode & 0o077:
        path.chmod(0o700)  # systemd's StateDirectory= makes 0755 unless told otherwise


def _lock(path: Path) -> int:
    # O_CLOEXEC: a launcher that outlived the front would else keep the directory locked.
    descriptor = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise StartError(
            Code.STATE_LOCKED,
            f"another daemon uses the state directory {path}",
            remedy="Stop it, or give this one a `state_dir` of its own.",
        ) from None
    return descriptor


def _check_version(path: Path) -> None:
    found = _read(path / "version")
    if found is None and _read(path / "key") is None:
        _replace(path / "version", f"{VERSION}\n".encode())
        return
    if found is None or found.strip() != VERSION.encode():
        what = "has no version" if found is None else f"has format {found[:32]!r}"
        raise StartError(
            Code.STATE_VERSION,
            f"the state directory {path} {what}, this daemon knows format {VERSION}",
            remedy="Run the version of sandboxd that made it, or give this one an empty `state_dir`.",
        )


def _read_or_make_key(path: Path) -> bytes:
    key = _read(path / "key")
    if key is None:
        key = secrets.token_bytes(_KEY_BYTES)
        _replace(path / "key", key)
    if len(key) != _KEY_BYTES:
        raise _unusable(path, f"has a key of {len(key)} bytes instead of {_KEY_BYTES}")
    return key


def _next_incarnation(path: Path) -> str:
    text = _read(path / "incarnation") or b"0"
    if not text.strip().isdigit():
        raise _unusable(path, "has a damaged file `incarnation`")
    count = int(text) + 1
    _replace(path / "incarnation", f"{count}\n".encode())
    # The random part tells incarnations apart even when the directory was restored from a backup.
    return f"{count:010d}-{secrets.token_hex(8)}"


def _read(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_MAX_FILE_BYTES)


def _replace(path: Path, content: bytes) -> None:
    fresh = path.with_name(path.name + ".new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(fresh, flags, 0o600)
    try:
        write_all(descriptor, content)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.rename(path)
    sync_directory(path.parent)


def _unusable(path: Path, problem: str) -> StartError:
    return StartError(
        Code.CONFIG_INVALID,
        f"the state directory {path} {problem}",
        remedy="Point `state_dir` at a directory that only the daemon's user can write, on a local disk.",
        setting="state_dir",
    )
