"""Settings: flag > environment > file > default; what is unknown or out of range is refused."""

from __future__ import annotations

import dataclasses

import pytest

from sandboxd.config import Config, load, parse_arguments, settings, settings_table
from sandboxd.config.values import size
from sandboxd.errors import Code, StartError


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("lease_seconds = 30\nmax_sessions = 7\nallow_unscreened = true\n")
    return path


def config(*flags: str, **environ: str) -> Config:
    return load(parse_arguments(flags), {"SANDBOXD_CONFIG": "/dev/null", **environ})[0]


def refused(*flags: str, **environ: str) -> StartError:
    with pytest.raises(StartError) as caught:
        config(*flags, **environ)
    assert caught.value.code == Code.CONFIG_INVALID
    assert caught.value.remedy
    return caught.value


def test_each_source_wins_over_the_next(file):
    assert config().lease_seconds == 60
    assert config("--config", str(file)).lease_seconds == 30
    assert config("--config", str(file), SANDBOXD_LEASE_SECONDS="20").lease_seconds == 20
    assert (
        config("--config", str(file), "--lease-seconds", "10s", SANDBOXD_LEASE_SECONDS="20").lease_seconds
        == 10
    )


def test_a_flag_takes_back_what_the_file_allows(file):
    assert config("--config", str(file)).allow_unscreened
    assert not config("--config", str(file), "--no-allow-unscreened").allow_unscreened


@pytest.mark.parametrize(
    ("text", "bytes_"), [("65536", 65536), ("64KiB", 65536), ("1 GiB", 1 << 30), ("0", 0), ("7B", 7)]
)
def test_sizes(text, bytes_):
    assert size(text) == bytes_


@pytest.mark.parametrize("value", ["1GB", "-1", "1.5GiB", "", "1e9", "٣"])
def test_what_is_no_size_is_refused(value):
    assert "--log-max-bytes" in refused(f"--log-max-bytes={value}").message


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon", "1e99"])
def test_what_is_no_duration_is_refused(value):
    refused(f"--lease-seconds={value}")


@pytest.mark.parametrize("value", ["0", "-1", "1.0", "many", "²"])
def test_what_is_no_count_is_refused(value):
    refused(f"--max-sessions={value}")


def test_an_unknown_key_or_type_of_the_file_is_refused(tmp_path):
    path = tmp_path / "config.toml"
    for text in ("no_such = 1", "max_sessions = true", "max_sessions = '", "allow_unscreened = 'perhaps'"):
        path.write_text(text)
        refused("--config", str(path))
    refused("--config", str(tmp_path / "missing.toml"))


def test_settings_that_contradict_each_other_are_refused():
    assert "max_lease_seconds" in refused("--lease-seconds=100", "--max-lease-seconds=50").message
    refused("--log-max-bytes=1KiB")
    refused("--address=unix:/a", "--admin-address=unix:/a")


def test_an_embedded_daemon_keeps_its_sockets_whatever_the_environment_says(tmp_path):
    environ = {
        "SANDBOXD_ADDRESS": "unix:/run/x.sock",
        "SANDBOXD_STATE_DIR": "/var/x",
        "SANDBOXD_MAX_QUEUE": "3",
    }
    found, invocation = load(parse_arguments(["--embedded", "--runtime-dir", str(tmp_path)]), environ)
    assert found.address == f"unix:{tmp_path}/sandboxd.sock"
    assert found.state_dir == tmp_path / "state"
    assert (found.durability, found.max_queue, invocation.embedded) == ("write", 3, True)


def test_embedded_and_its_directory_belong_together(tmp_path):
    refused("--embedded")
    refused("--runtime-dir", str(tmp_path))
    refused("--embedded", "--runtime-dir", str(tmp_path), "--ready-fd", "999999")


def test_one_table_feeds_the_help_the_readme_and_the_configuration(capsys):
    with pytest.raises(SystemExit):
        parse_arguments(["--help"])
    shown = capsys.readouterr().out
    names = [row.name for row in settings()]
    assert names == [row.name for row in dataclasses.fields(Config)]
    for row in settings():
        assert row.flag in shown
        assert f"| `{row.name}` |" in settings_table()
        assert row.help
