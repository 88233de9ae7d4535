"""The one table of settings: a field of `Config` holds a setting's type, default, reader and help together.

Flag, environment variable and key of the file follow from the field's name: `lease_seconds` is
`--lease-seconds`, `SANDBOXD_LEASE_SECONDS` and `lease_seconds = …`.
"""

# ruff: noqa: RUF009  # `_row` makes a dataclass field, which the rule cannot see
from __future__ import annotations

import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sandboxd.config import values

if TYPE_CHECKING:
    from collections.abc import Callable

    from sandboxd.config.values import Reader


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    read: Reader
    help: str
    shown_default: str

    @property
    def flag(self) -> str:
        """Name the command line's flag."""
        return "--" + self.name.replace("_", "-")

    @property
    def environment(self) -> str:
        """Name the environment variable."""
        return "SANDBOXD_" + self.name.upper()


def _row(default: object, read: Reader, explained: str, shown: str | None = None) -> Any:
    metadata = {"read": read, "help": explained, "shown": str(default) if shown is None else shown}
    if callable(default):
        return field(default_factory=default, metadata=metadata)
    return field(default=default, metadata=metadata)


def _place(root: str, variable: str, fallback: str, *tail: str) -> Callable[[], Path]:
    """Choose a directory: root's own, or the user's by the XDG variable or its fallback."""

    def choose() -> Path:
        if os.geteuid() == 0:
            return Path(root).joinpath(*tail)
        base = os.environ.get(variable, "")
        start = Path(base) if base.startswith("/") else Path.home() / fallback
        return start.joinpath("sandboxd", *tail)

    return choose


_run = _place("/run/sandboxd", "XDG_RUNTIME_DIR", ".local/state/sandboxd-run")
_state = _place("/var/lib/sandboxd", "XDG_STATE_HOME", ".local/state")
_environments = _place("/var/lib/sandboxd", "XDG_DATA_HOME", ".local/share", "environments")
_images = _place("/var/lib/sandboxd", "XDG_DATA_HOME", ".local/share", "images")


def _address() -> str:
    return f"unix:{_run()}/sandboxd.sock"


def _admin_address() -> str:
    return f"unix:{_run()}/admin.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Every setting of the daemon, read and checked. Sizes in bytes, times in seconds."""

    address: str = _row(
        _address,
        values.text,
        "where clients connect: unix:PATH (0660; its directory must not be writable by others)",
        "unix:/run/sandboxd/sandboxd.sock; for a user below $XDG_RUNTIME_DIR",
    )
    admin_address: str = _row(
        _admin_address,
        values.text,
        "where administration connects: unix:PATH (0600)",
        "unix:/run/sandboxd/admin.sock; for a user below $XDG_RUNTIME_DIR",
    )
    state_dir: Path = _row(
        _state,
        values.path,
        "log, session key and lock; one daemon a directory",
        "/var/lib/sandboxd; for a user $XDG_STATE_HOME/sandboxd",
    )
    policy_dir: Path | None = _row(
        None, values.optional_path, "directory of policy files (*.yaml) beside the built-in ones", "none"
    )
    default_policy: str = _row("default", values.text, "policy of a session that names none")
    allow_unscreened: bool = _row(
        False, values.boolean, "serve policies that switch the screen off (for testing the boundary)", "false"
    )
    environments_dir: Path = _row(
        _environments,
        values.path,
        "where `sandboxd env` keeps the environments",
        "/var/lib/sandboxd/environments; for a user $XDG_DATA_HOME/sandboxd/environments",
    )
    images_dir: Path = _row(
        _images,
        values.path,
        "the list of images, by digest, that `sandboxd image` keeps",
        "/var/lib/sandboxd/images; for a user $XDG_DATA_HOME/sandboxd/images",
    )
    engine_socket: Path = _row(
        Path("/var/run/docker.sock"), values.path, "the container engine's socket, for `runc` and `runsc`"
    )
    durability: str = _row(
        "fsync",
        values.choice("fsync", "write"),
        "what an intent survives before its snippet starts: fsync a power loss, write a kill of the daemon",
        "fsync; embedded: write",
    )
    log_rotate_bytes: int = _row(
        64 << 20, values.size, "size at which a segment of the log is finished and the next begun", "64MiB"
    )
    log_max_bytes: int = _row(
        4 << 30, values.size, "size of the whole log at which new work is refused (LOG_FULL)", "4GiB"
    )
    max_sessions: int = _row(
        64, values.count(1, 100_000), "open sessions; one more is refused (QUOTA_SESSIONS)"
    )
    max_concurrent: int = _row(
        8, values.count(1, 10_000), "snippets that run at the same time; the next ones wait in the queue"
    )
    max_queue: int = _row(
        64, values.count(0, 100_000), "snippets that wait for their turn; one more is refused (QUOTA_QUEUE)"
    )
    max_connections: int = _row(
        64,
        values.count(1, 10_000),
        "open connections of one user id; an embedded daemon does not count its own user's",
    )
    memory_total: int = _row(
        0,
        values.size,
        "what the memory limits of all open sessions may add up to (QUOTA_MEMORY); 0: not limited",
        "0",
    )
    lease_seconds: float = _row(
        60.0, values.seconds(0.05, 86_400), "how long a session outlives its stream", "60"
    )
    max_lease_seconds: float = _row(
        3600.0, values.seconds(0.05, 86_400), "the longest lease that a client may ask for", "3600"
    )
    idle_seconds: float = _row(
        14_400.0, values.seconds(0.05, 604_800), "how long a session with a stream may do nothing", "14400"
    )
    max_lifetime_seconds: float = _row(
        86_400.0,
        values.seconds(0.05, 2_592_000),
        "how long a session may live in all, however much it is used",
        "86400",
    )
    pool_size: int = _row(
        2, values.count(0, 1000), "jails of an environment that wait ready for the next session, at least"
    )
    pool_max: int = _row(
        8, values.count(0, 1000), "the same at most, when opens find none waiting (memory permitting)"
    )
    pool_fresh: int = _row(
        1,
        values.count(0, 100),
        "fresh processes (`isolate.fresh`) of an environment that may wait, while in demand",
    )
    container_pool: int = _row(
        1, values.count(0, 100), "containers that wait, of each image, runtime and size that was asked for"
    )
    zygote_boxes: int = _row(
        1000, values.count(1, 10**9), "sandboxes after which the process they are forked from is replaced"
    )
    zygote_seconds: float = _row(
        3600.0, values.seconds(1, 604_800), "the same in seconds, once it has forked any", "3600"
    )
    screen_workers: int = _row(
        1, values.count(1, 64), "processes kept to screen source text; more start while one is held up"
    )
    drain_seconds: float = _row(
        30.0, values.seconds(0, 3600), "how long running snippets may go on after SIGTERM", "30"
    )
    log_level: str = _row(
        "info", values.choice("debug", "info", "warning", "error"), "what the daemon tells on stderr"
    )


def settings() -> tuple[Setting, ...]:
    """List the table, in the order of the help text."""
    return tuple(
        Setting(row.name, row.metadata["read"], row.metadata["help"], row.metadata["shown"])
        for row in fields(Config)
    )


def settings_table() -> str:
    """Render the table for the README, as Markdown."""
    head = "| setting | default | what it does |\n|---|---|---|\n"
    return head + "".join(f"| `{row.name}` | {row.shown_default} | {row.help} |\n" for row in settings())
