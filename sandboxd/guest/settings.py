"""What the host tells a guest once, with bounds of the guest's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

_DISPLAY_CEILING_BYTES = 12 * 1024 * 1024  # a display must fit one frame to the host, which is 16 MiB at most
_REPR_CEILING = 1024 * 1024


@dataclass(frozen=True)
class Settings:
    """The guest's settings. Sizes in bytes, `repr_limit` in characters."""

    preload: Tuple[str, ...] = ()
    packages: Tuple[str, ...] = ()  # "name==version", as installed in the environment
    repr_limit: int = 64 * 1024
    display_item_bytes: int = 4 * 1024 * 1024
    display_total_bytes: int = 8 * 1024 * 1024
    workdir: str = "/work"

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> Settings:
        """Read settings as the host sends them; what is absent takes its default."""
        default = cls()
        return cls(
            preload=tuple(raw.get("preload", ())),
            packages=tuple(raw.get("packages", ())),
            repr_limit=min(int(raw.get("repr_limit", default.repr_limit)), _REPR_CEILING),
            display_item_bytes=min(
                int(raw.get("display_item_bytes", default.display_item_bytes)), _DISPLAY_CEILING_BYTES
            ),
            display_total_bytes=min(
                int(raw.get("display_total_bytes", default.display_total_bytes)), _DISPLAY_CEILING_BYTES
            ),
            workdir=str(raw.get("workdir", default.workdir)),
        )
