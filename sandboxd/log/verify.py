"""Check a whole log, offline or beside the daemon that writes it. Reads only, and needs no key.

What it finds: a changed, removed, added or reordered line, a removed segment between two others, a truncated
segment that is not the newest; it names file and line of the first break. Older segments may be archived:
then the chain begins with the oldest one here, and the report says with which record.

What it cannot find, because nothing outside the log vouches for it (there are no signed checkpoints yet):

- whole lines cut from the end of the newest segment, or the newest segments removed;
- a chain rebuilt from some record to the end by someone who may write the directory.

Both show against a `last_seq` and `last_hash` that was kept elsewhere, for example an earlier report in
another system.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sandboxd.log.scan import ChainError, Scan
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from pathlib import Path

    from sandboxd.log.records import Link


@dataclass(frozen=True, slots=True)
class Break:
    """The first place where the chain does not hold. `line` is 1-based; 0 speaks of the file as a whole."""

    file: str
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What `verify` found.

    `torn_bytes` at the end of the newest segment are being written, or were torn by a crash and will be cut,
    and recorded, when a daemon next opens the log.
    """

    segments: int
    records: int
    first_seq: int
    last_seq: int
    last_hash: str
    torn_bytes: int = 0
    broken: Break | None = None

    @property
    def ok(self) -> bool:
        """Whether the chain holds from the first record here to the last intact one."""
        return self.broken is None


def verify(directory: Path) -> VerifyReport:
    """Check every record of the log in a directory.

    Args:
        directory: the one with the `log-*.jsonl` files; it may be read-only and in use.

    Raises:
        OSError: the directory cannot be read.
    """
    paths = list_segments(directory)
    first_seq = records = torn_bytes = 0
    link: Link | None = None
    broken: Break | None = None
    for path in paths:
        scan = Scan(path, link, newest=path == paths[-1])
        try:
            for record in scan:
                records += 1
                first_seq = first_seq or record["seq"]
        except ChainError as error:
            broken = Break(error.file, error.line, error.reason)
        link, torn_bytes = scan.link, scan.torn_bytes
        if broken is not None:
            break
    last_seq, last_hash = link or (0, "")
    return VerifyReport(len(paths), records, first_seq, last_seq, last_hash, torn_bytes, broken)
