"""The doctor's report as people see it: bounded, aligned, without what a host's files could do to a terminal."""

from __future__ import annotations

import dataclasses

import pytest

from sandboxd.cli import doctor_view
from sandboxd.cli.command_line import main
from sandboxd.doctor import (
    SCHEMA,
    Check,
    Evidence,
    PolicyCheck,
    ProtectionCheck,
    Report,
    Status,
)
from sandboxd.doctor.model import Asked, Machine, Tier

READ, TRIED, INFERRED = Evidence.READ, Evidence.TRIED, Evidence.INFERRED


def check(
    name: str, status: Status, found: str, *, required: bool = False, why: str = "", remedy: str = ""
) -> Check:
    return Check(
        id=name, area="kernel", status=status, evidence=READ, required=required,
        found=found, protects="", why=why, remedy=remedy,
    )  # fmt: skip


def report(*checks: Check, **changes) -> Report:
    made = Report(
        schema=SCHEMA,
        exit_code=0,
        host=Machine(system="Debian", kernel="6.1", machine="x86_64", container="", uid=1000, sandboxd="1"),
        process_tier=Tier(status=Status.OK, evidence=TRIED, seconds=0.25),
        protections=(ProtectionCheck(name="seccomp", status=Status.OK, evidence=TRIED, protects=""),),
        policies=(),
        checks=checks,
        asked=Asked(),
    )
    return dataclasses.replace(made, **changes)


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("COLUMNS", "80")

    def show(made: Report) -> str:
        doctor_view.show_report(made)
        return capsys.readouterr().out

    return show


def test_columns_are_aligned_and_long_texts_wrapped_below_themselves(shown) -> None:
    text = shown(report(check("kernel", Status.OK, "6.1"), check("swap", Status.DEGRADED, "word " * 30)))
    rows = [line for line in text.splitlines() if (line.startswith("  ") and "6.1" in line) or "word" in line]
    assert {line.index(word) for line, word in ((rows[0], "6.1"), (rows[1], "word"), (rows[2], "word"))} == {
        47
    }
    assert max(map(len, text.splitlines())) <= 80


def test_what_to_do_begins_with_what_keeps_jails_from_running(shown) -> None:
    text = shown(
        report(
            check("swap", Status.DEGRADED, "on", why="slow", remedy="sudo swapoff -a"),
            check("userns", Status.MISSING, "no", required=True, why="off", remedy="sudo sysctl -w x=1"),
            check("also", Status.MISSING, "no", why="the same", remedy="sudo sysctl -w x=1"),
        )
    )
    done = text[text.index("What to do") :]
    assert done.index("userns, also  missing") < done.index("swap  degraded")
    assert "      sudo sysctl -w x=1\n" in done
    assert done.count("sudo sysctl") == 1
    assert "also: the same" in done


def test_a_good_host_has_nothing_to_do(shown) -> None:
    assert "Nothing to do." in shown(report(check("kernel", Status.OK, "6.1")))


def test_what_is_unknown_says_why_and_claims_no_evidence(shown) -> None:
    one = Check(
        id="smt", area="processor", status=Status.UNKNOWN, evidence=Evidence.NONE, required=False,
        found="unknown", protects="", why="/sys is not there",
    )  # fmt: skip
    line = next(line for line in shown(report(one)).splitlines() if "smt" in line)
    assert line.split() == ["smt", "unknown", "/sys", "is", "not", "there"]


def test_a_host_that_lies_in_its_files_drives_no_terminal(shown) -> None:
    evil = "\x1b]52;c;aGk=\x07\u202e"
    text = shown(
        report(
            check("kernel", Status.MISSING, evil, why=evil, remedy=evil),
            host=dataclasses.replace(report().host, system=evil),
            policies=(PolicyCheck(name="p", status=Status.MISSING, lacks=(evil,), remedy=evil),),
            protections=(
                ProtectionCheck(
                    name="seccomp",
                    status=Status.MISSING,
                    evidence=INFERRED,
                    protects="",
                    why=evil,
                    remedy="x",
                ),
            ),
        )
    )
    assert not set(text) & set("\x1b\x07\u202e")
    assert "\\x1b]52" in text


def test_protections_that_are_alike_share_a_row(shown) -> None:
    rows = tuple(
        ProtectionCheck(
            name=f"p{number}", status=Status.MISSING, evidence=INFERRED, protects="", why="none", remedy="x"
        )
        for number in range(5)
    )
    text = shown(report(protections=rows))
    assert "5 of 5" in text
    assert "p0, p1, p2, p3, p4" in text


def test_what_was_asked_for_is_answered_last(shown) -> None:
    lacking = Asked(require=("landlock",), lacks=("landlock",))
    assert shown(report(asked=lacking)).rstrip().endswith("This host lacks what was asked for: landlock")
    assert shown(report(asked=Asked(policies=("default",)))).rstrip().endswith("has all that was asked for.")


def test_names_that_do_not_exist_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--require", "seccomp,seccmop"]) == 2
    assert "seccmop" in capsys.readouterr().err
    assert main(["doctor", "--policy", "no-such-policy"]) == 6
    assert "POLICY_NOT_FOUND" in capsys.readouterr().err


def test_help_documents_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["doctor", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "0 the process tier runs here" in said
    assert "3 the process tier cannot run here" in said
    assert "--require NAME,..." in said
