from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from sandboxd.errors import StartError
from sandboxd.log import Log, read_history, verify
from sandboxd.log.records import Link, seal
from sandboxd.log.segments import list_segments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
async def directory(open_log: Callable[..., Log], tmp_path: Path) -> Path:
    log = open_log(rotate_bytes=1000)
    for number in range(20):
        await log.before("test", {"number": number})
    log.close()
    assert len(list_segments(tmp_path / "log")) > 4
    return tmp_path / "log"


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def assert_broken(directory: Path, path: Path, line: int) -> None:
    report = verify(directory)
    assert not report.ok
    assert report.broken is not None
    assert (report.broken.file, report.broken.line) == (path.name, line)
    with pytest.raises(StartError, match="LOG_BROKEN"):
        list(read_history(directory))


def test_a_whole_log_verifies(directory: Path) -> None:
    report = verify(directory)
    assert report.ok
    assert (report.records, report.first_seq, report.last_seq, report.torn_bytes) == (20, 1, 20, 0)
    assert report.last_hash.encode() in lines_of(list_segments(directory)[-1])[-1]


def test_a_changed_line_is_found(directory: Path) -> None:
    path = list_segments(directory)[1]
    lines = lines_of(path)
    lines[1] = lines[1].replace(b'"number":', b'"nomber":')
    path.write_bytes(b"".join(lines))
    assert_broken(directory, path, 2)


def test_a_changed_line_with_its_hash_redone_is_found_at_the_next_line(directory: Path) -> None:
    path = list_segments(directory)[0]
    lines = lines_of(path)
    lines[0] = seal(Link(0, "0" * 64), "test", {"number": 99}, now_seconds=0).line
    path.write_bytes(b"".join(lines))
    assert_broken(directory, path, 2)


def test_a_removed_line_is_found(directory: Path) -> None:
    path = list_segments(directory)[1]
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:1] + lines[2:]))
    assert_broken(directory, path, 2)


def test_swapped_lines_are_found(directory: Path) -> None:
    path = list_segments(directory)[1]
    lines = lines_of(path)
    lines[0], lines[1] = lines[1], lines[0]
    path.write_bytes(b"".join(lines))
    assert_broken(directory, path, 1)


def test_a_repeated_line_is_found(directory: Path) -> None:
    path = list_segments(directory)[1]
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:1] + lines))
    assert_broken(directory, path, 2)


def test_a_removed_segment_is_found(directory: Path) -> None:
    _, removed, after, *_ = list_segments(directory)
    removed.unlink()
    assert_broken(directory, after, 0)


def test_swapped_segments_are_found(directory: Path) -> None:
    first, second, *_ = list_segments(directory)
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    assert_broken(directory, first, 1)


def test_a_truncated_segment_is_found_whether_by_lines_or_by_bytes(directory: Path) -> None:
    path, after = list_segments(directory)[1:3]
    lines = lines_of(path)
    path.write_bytes(b"".join(lines[:-1]))
    assert_broken(directory, after, 0)
    path.write_bytes(b"".join(lines)[:-5])
    assert_broken(directory, path, len(lines))
    path.write_bytes(b"")
    assert_broken(directory, path, 0)


def test_a_first_record_that_claims_a_past_is_found(directory: Path) -> None:
    path = list_segments(directory)[0]
    path.write_bytes(seal(Link(0, "1" * 64), "test", {}, now_seconds=0).line)
    for other in list_segments(directory)[1:]:
        other.unlink()
    assert_broken(directory, path, 1)


def test_archived_segments_are_no_break(directory: Path) -> None:
    first, second, *_ = list_segments(directory)
    first.unlink()
    report = verify(directory)
    assert report.ok
    assert report.first_seq == int(second.stem.removeprefix("log-"))


def test_what_it_cannot_see_shows_against_a_hash_kept_elsewhere(directory: Path) -> None:
    kept = verify(directory)
    path = list_segments(directory)[-1]
    path.write_bytes(b"".join(lines_of(path)[:-1]))
    cut = verify(directory)
    assert cut.ok  # the limit that the module's docstring states
    assert (cut.last_seq, cut.last_hash) != (kept.last_seq, kept.last_hash)


def test_a_link_in_a_segment_s_place_is_not_followed(directory: Path) -> None:
    path = list_segments(directory)[1]
    path.rename(directory / "elsewhere")
    path.symlink_to(directory / "elsewhere")
    assert not verify(directory).ok


def test_a_fifo_in_a_segment_s_place_does_not_hang(directory: Path) -> None:
    path = list_segments(directory)[1]
    path.unlink()
    os.mkfifo(path)
    assert not verify(directory).ok


def test_other_files_are_left_alone(directory: Path) -> None:
    (directory / "README").write_text("mine")
    (directory / "log-1.jsonl").write_text("mine")
    assert verify(directory).ok


def test_an_empty_directory_verifies(tmp_path: Path) -> None:
    report = verify(tmp_path)
    assert report.ok
    assert (report.records, report.last_seq, report.last_hash) == (0, 0, "")
