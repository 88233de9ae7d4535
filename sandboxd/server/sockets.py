"""Where the daemon listens: unix sockets whose directories nobody else can write to.

Beside each public socket stands a private directory (0700, flock held for the daemon's life). In it gRPC
listens, and the acceptor's connections get their names. It is reached as /proc/self/fd/N, so its depth never
meets the 108 bytes of a socket address, and no other process can even name it that way.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import stat
import time
from pathlib import Path

from sandboxd.errors import Code, StartError

_PATH_MAX_BYTES = 107  # sun_path holds 108, the last one NUL
_DIRECTORY_MODE = 0o750
_BACKLOG = 128
_LOCK_SECONDS = 0.3  # an undertaker of a killed daemon holds a lock for as long as it takes to remove a file


def socket_path(address: str) -> Path:
    """Read an address.

    Raises:
        StartError: TCP_NOT_SUPPORTED, SOCKET_UNUSABLE.
    """
    scheme, separator, path = address.partition(":")
    if not separator or scheme != "unix":
        if address.startswith("/"):
            raise _unusable(address, "has no scheme", f"Write unix:{address}.")
        raise StartError(
            Code.TCP_NOT_SUPPORTED,
            f"{address!r} is no unix socket; without TLS and tokens TCP would let anybody in.",
            remedy="Use unix:PATH; reach it from elsewhere over ssh -L.",
        )
    path = path.removeprefix("//")
    if not path.startswith("/") or "\0" in path or Path(path).name in {"", ".", ".."}:
        raise _unusable(address, "is not an absolute path", "Write unix:/absolute/path.sock.")
    if len(os.fsencode(path)) > _PATH_MAX_BYTES:
        raise _unusable(address, f"is longer than {_PATH_MAX_BYTES} bytes", "Choose a shorter directory.")
    return Path(path)


class PublicSocket:
    """A listening socket at its public path, and the private directory behind it.

    Raises:
        StartError: SOCKET_UNUSABLE.
    """

    def __init__(self, address: str, *, mode: int, private: bool = False) -> None:
        self.path = socket_path(address)
        self._address = address
        self._directory = self.path.with_name(f".{self.path.name}.d")
        try:
            self._check_directory(private)
            self._descriptor = self._open_private()
            try:
                self._check_stale()
                self.listener = self._bind(mode)
            except BaseException:
                os.close(self._descriptor)
                raise
        except OSError as error:
            raise _unusable(address, f"cannot be used: {error.strerror}", "Check its directory.") from error
        self._inode = self.path.lstat().st_ino

    @property
    def private(self) -> Path:
        """Name the private directory, for this process alone."""
        return Path(f"/proc/self/fd/{self._descriptor}")

    def behind(self, backend: Path) -> str:
        """Return the address of a socket in the private directory, for this daemon's own user."""
        return f"unix:{self._directory / backend.name}"

    @property
    def place(self) -> tuple[Path, Path]:
        """Name the socket and its private directory, for whoever takes them away after a kill."""
        return self.path, self._directory

    def close(self) -> None:
        """Take socket and directory away, unless somebody else's socket stands there by now. Idempotent."""
        if self._descriptor < 0:
            return
        self.listener.close()
        with contextlib.suppress(OSError):
            if self.path.lstat().st_ino == self._inode:
                self.path.unlink()
        shutil.rmtree(self._directory, ignore_errors=True)
        os.close(self._descriptor)
        self._descriptor = -1

    def _check_directory(self, private: bool) -> None:
        """Refuse a directory in which others could put a socket of their own in our place."""
        parent = self.path.parent
        if not parent.exists():
            parent.mkdir(parents=True, mode=_DIRECTORY_MODE)
            parent.chmod(0o700 if private else _DIRECTORY_MODE)  # the umask has had its say
        status = parent.stat()
        own = status.st_uid == os.geteuid()
        if not own and status.st_uid != 0:
            raise _unusable(
                self._address, f"lies in a directory of uid {status.st_uid}", "Use one of your own."
            )
        if private and (not own or status.st_mode & 0o077):
            raise _unusable(self._address, "lies in a directory open to others", "Make it 0700 and your own.")
        if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
            raise _unusable(
                self._address, "lies in a directory that others may write to", "Remove that right."
            )

    def _open_private(self) -> int:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            with contextlib.suppress(FileExistsError):
                self._directory.mkdir(mode=0o700)
            descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                self._make_ours(descriptor)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._stands(descriptor):
                    break
            except BlockingIOError:
                if time.monotonic() > until:
                    os.close(descriptor)
                    raise self._in_use() from None
                time.sleep(0.01)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # an undertaker takes away what a killed daemon left
        for name in os.listdir(descriptor):  # noqa: PTH208  # what a killed daemon left
            os.unlink(name, dir_fd=descriptor)
        return descriptor

    def _make_ours(self, descriptor: int) -> None:
        if os.fstat(descriptor).st_uid != os.geteuid():
            raise _unusable(self._address, f"has a foreign {self._directory.name} beside it", "Remove that.")
        os.fchmod(descriptor, 0o700)

    def _stands(self, descriptor: int) -> bool:
        """Tell whether the directory that was locked is still the one at its path."""
        try:
            return self._directory.lstat().st_ino == os.fstat(descriptor).st_ino
        except FileNotFoundError:
            return False

    def _check_stale(self) -> None:
        """Let a socket file be replaced only if nobody listens on it."""
        try:
            status = self.path.lstat()
        except FileNotFoundError:
            return
        if not stat.S_ISSOCK(status.st_mode):
            raise _unusable(
                self._address, "is a file and no socket", "Choose another path, or remove the file."
            )
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1.0)
            try:
                probe.connect(str(self.path))
            except ConnectionRefusedError:
                return
            except FileNotFoundError:
                return
            raise self._in_use()

    def _bind(self, mode: int) -> socket.socket:
        """Bind privately, then move into place: never visible with other rights than `mode`."""
        listener = socket.socket(
            socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            listener.bind(f"/proc/self/fd/{self._descriptor}/public")
            os.chmod("public", mode, dir_fd=self._descriptor)
            listener.listen(_BACKLOG)
            os.rename("public", self.path, src_dir_fd=self._descriptor)
        except BaseException:
            listener.close()
            raise
        return listener

    def _in_use(self) -> StartError:
        return _unusable(self._address, "is in use by another daemon", "Stop it, or choose another address.")


def _unusable(address: str, what: str, remedy: str) -> StartError:
    return StartError(Code.SOCKET_UNUSABLE, f"The address {address!r} {what}.", remedy=remedy)
