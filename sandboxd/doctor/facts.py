"""All that the checks look at. Tests make it from a tree of files and injected results; the command from this host."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandboxd.doctor.probe import Trial
from sandboxd.events import Protection
from sandboxd.hosts import HostFiles


@dataclass(frozen=True, slots=True)
class Setup:
    """What the daemon is set up to use here: directories, sizes, environments.

    Attributes:
        environments: name -> what is wrong with it; empty where it can be used.
        fault: why the settings could not be read; empty otherwise.
    """

    state_dir: str = "/var/lib/sandboxd"
    environments_dir: str = "/var/lib/sandboxd/environments"
    images_dir: str = "/var/lib/sandboxd/images"
    engine_socket: str = "/var/run/docker.sock"
    max_sessions: int = 64
    pool_size: int = 2
    environments: Mapping[str, str] = field(default_factory=dict)
    state_writable: bool | None = None
    fault: str = ""

    @property
    def jails(self) -> int:
        """Return how many jails there can be at once."""
        return self.max_sessions + self.pool_size


@dataclass(frozen=True, slots=True)
class JailTrial:
    """A whole jail, built by the real launcher and taken down again.

    Attributes:
        protections: what was active in it; empty where it could not be built.
        code: the stable code of the error that it failed with.
    """

    protections: tuple[Protection, ...] = ()
    seconds: float = 0.0
    code: str = ""
    message: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class EngineTrial:
    """What the container engine said of itself.

    Attributes:
        socket: where it was asked.
        images_dir: the list of images.
        facts: of `sandboxd.broker.facts`; empty where it did not answer.
        fault: why not.
        mode: of the socket.
        group: the socket's, and then its members; empty where there is no socket.
    """

    socket: str
    images_dir: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    fault: str = ""
    mode: int = 0
    group: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """A host, what trying gave on it, and the setup. `jail` and `engine` are None where none was tried."""

    host: HostFiles
    trial: Trial
    jail: JailTrial | None = None
    setup: Setup = field(default_factory=Setup)
    engine: EngineTrial | None = None

    @property
    def uid(self) -> int | None:
        """Return as whom the doctor looks."""
        return self.trial.report.get("uid")

    def active(self, name: str) -> Protection | None:
        """Return what the tried jail says of a protection."""
        rows = self.jail.protections if self.jail is not None else ()
        return next((row for row in rows if row.name == name), None)
