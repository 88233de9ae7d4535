"""Where settings come from: flag > environment > file > default. An unknown key of the file is refused."""

from __future__ import annotations

import argparse
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from sandboxd.config import values
from sandboxd.config.settings import Config, Setting, settings
from sandboxd.errors import Code, StartError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_FILES_MAX_BYTES = 1 << 20
# An embedded daemon belongs to one process. A variable or a file meant for the service would put its sockets
# where others connect, so only a flag moves these.
_EMBEDDED_PRIVATE = frozenset({"address", "admin_address", "state_dir"})


@dataclass(frozen=True, slots=True)
class Invocation:
    """How this one process was started: what no file or variable may say."""

    embedded: bool = False
    runtime_dir: Path | None = None
    lifeline_fd: int | None = None
    ready_fd: int | None = None


class _Parser(argparse.ArgumentParser):
    """Reports a wrong command line like every other reason not to start, instead of exiting with 2."""

    def error(self, message: str) -> NoReturn:
        raise StartError(Code.CONFIG_INVALID, f"{message}.", remedy=f"See {self.prog} --help.")


def parse_arguments(argv: Sequence[str], *, prog: str = "sandboxd serve") -> argparse.Namespace:
    """Parse the command line of the daemon.

    Raises:
        StartError: CONFIG_INVALID.
    """
    parser = _Parser(
        prog=prog,
        description="Serve sandboxes over gRPC on a unix socket.",
        epilog="Each setting is also an environment variable, SANDBOXD_ and its name in capitals, and a key of "
        "the TOML file. A flag wins over the environment, the environment over the file, the file over the "
        "default.",
        argument_default=argparse.SUPPRESS,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--config", metavar="FILE", help="TOML file of settings (default: /etc/sandboxd/config.toml)"
    )
    for row in settings():
        shown = f"{row.help} (default: {row.shown_default})".replace("%", "%%")
        if row.read is values.boolean:
            parser.add_argument(row.flag, action=argparse.BooleanOptionalAction, help=shown)
        else:
            parser.add_argument(row.flag, metavar=row.name.rpartition("_")[2].upper(), help=shown)
    started = parser.add_argument_group("embedded in another process")
    started.add_argument("--embedded", action="store_true", help="belong to one process: see the next three")
    started.add_argument("--runtime-dir", metavar="DIR", help="sockets, and the state unless --state-dir")
    started.add_argument(
        "--lifeline-fd", metavar="N", help="end when this descriptor reaches its end of file"
    )
    started.add_argument(
        "--ready-fd", metavar="N", help="write one JSON line here: the addresses, or the error"
    )
    return parser.parse_args(list(argv))


def load(arguments: argparse.Namespace, environ: Mapping[str, str]) -> tuple[Config, Invocation]:
    """Merge all sources into a checked configuration.

    Raises:
        StartError: CONFIG_INVALID, naming the setting and where its value stands.
    """
    given = vars(arguments)
    invocation = _invocation(given)
    file = _file(given.get("config"), environ, embedded=invocation.embedded)
    chosen = _embedded_defaults(invocation)
    for row in settings():
        private = invocation.embedded and row.name in _EMBEDDED_PRIVATE
        found = _find(row, given, {} if private else environ, {} if private else file)
        if found is not None:
            chosen[row.name] = _read(row, *found)
    config = Config(**chosen)
    _check(config)
    return config, invocation


def _find(
    row: Setting, given: Mapping[str, Any], environ: Mapping[str, str], file: Mapping[str, Any]
) -> tuple[str, object] | None:
    if row.name in given:
        return row.flag, given[row.name]
    if row.environment in environ:
        return row.environment, environ[row.environment]
    if row.name in file:
        return f"{row.name} in the file", file[row.name]
    return None


def _read(row: Setting, where: str, raw: object) -> object:
    try:
        return row.read(raw)
    except ValueError as error:
        raise StartError(
            Code.CONFIG_INVALID, f"{where}: {error}.", remedy=f"{row.name}: {row.help}.", setting=row.name
        ) from error


def _invocation(given: Mapping[str, Any]) -> Invocation:
    embedded = bool(given.get("embedded"))
    runtime = given.get("runtime_dir")
    if embedded != (runtime is not None):
        raise StartError(
            Code.CONFIG_INVALID,
            "--embedded and --runtime-dir belong together.",
            remedy="Give both or neither.",
        )
    try:
        return Invocation(
            embedded=embedded,
            runtime_dir=values.path(runtime) if runtime is not None else None,
            lifeline_fd=_descriptor(given.get("lifeline_fd")),
            ready_fd=_descriptor(given.get("ready_fd")),
        )
    except ValueError as error:
        raise StartError(
            Code.CONFIG_INVALID, f"{error}.", remedy="See --runtime-dir, --lifeline-fd and --ready-fd."
        ) from error


def _descriptor(raw: object) -> int | None:
    if raw is None:
        return None
    number = values.count(3, 1 << 20)(raw)
    assert isinstance(number, int)
    try:
        os.fstat(number)
    except OSError as error:
        raise ValueError(f"descriptor {number} is not open") from error
    return number


def _embedded_defaults(invocation: Invocation) -> dict[str, Any]:
    if invocation.runtime_dir is None:
        return {}
    runtime = invocation.runtime_dir
    return {
        "address": f"unix:{runtime}/sandboxd.sock",
        "admin_address": f"unix:{runtime}/admin.sock",
        "state_dir": runtime / "state",
        "durability": "write",
    }


def _file(named: str | None, environ: Mapping[str, str], *, embedded: bool) -> dict[str, Any]:
    """Read the file. An unnamed one need not exist, and an embedded daemon reads none that is not named."""
    explicit = named if named is not None else environ.get("SANDBOXD_CONFIG")
    if explicit is None and embedded:
        return {}
    path = Path(explicit) if explicit is not None else _usual_file(environ)
    try:
        with path.open("rb") as stream:
            table = tomllib.loads(stream.read(_FILES_MAX_BYTES).decode())
    except FileNotFoundError:
        if explicit is None:
            return {}
        raise StartError(Code.CONFIG_INVALID, f"{path} does not exist.", remedy="Check --config.") from None
    except (OSError, ValueError) as error:
        raise StartError(Code.CONFIG_INVALID, f"{path}: {error}.", remedy="Correct the file.") from error
    unknown = sorted(table.keys() - {row.name for row in settings()})
    if unknown:
        raise StartError(
            Code.CONFIG_INVALID,
            f"{path}: unknown setting {unknown[0]!r}.",
            remedy="Remove it; `sandboxd serve --help` lists all settings.",
        )
    return table


def _usual_file(environ: Mapping[str, str]) -> Path:
    if os.geteuid() == 0:
        return Path("/etc/sandboxd/config.toml")
    return Path(environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "sandboxd" / "config.toml"


def _check(config: Config) -> None:
    """Refuse values that contradict each other, before anything is opened."""
    if config.lease_seconds > config.max_lease_seconds:
        raise StartError(
            Code.CONFIG_INVALID,
            "lease_seconds is above max_lease_seconds.",
            remedy="Raise max_lease_seconds or lower lease_seconds.",
        )
    if config.log_max_bytes < 2 * config.log_rotate_bytes:
        raise StartError(
            Code.CONFIG_INVALID,
            "log_max_bytes has no room for two segments of log_rotate_bytes.",
            remedy="Raise log_max_bytes or lower log_rotate_bytes.",
        )
    if config.address == config.admin_address:
        raise StartError(
            Code.CONFIG_INVALID, "address and admin_address are the same.", remedy="Give each its own path."
        )
