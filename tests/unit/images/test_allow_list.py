"""The list of images: a digest each, and nothing that is not exactly right."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sandboxd.broker.allow_list import Image, forget_image, image_names, load_image, save_image
from sandboxd.errors import Code, SandboxdError

ID = "sha256:" + "ab" * 32
IMAGE = Image(
    "data", ID, "/usr/bin/python3.11", "3.11", ("/opt/packages",), ("numpy==2.0",), ("numpy",), "a tar"
)


def test_what_was_saved_is_loaded(tmp_path: Path) -> None:
    save_image(tmp_path / "images", IMAGE)
    assert load_image(tmp_path / "images", "data") == IMAGE
    assert image_names(tmp_path / "images") == ["data"]
    forget_image(tmp_path / "images", "data")
    with pytest.raises(SandboxdError) as gone:
        load_image(tmp_path / "images", "data")
    assert gone.value.code == Code.ENVIRONMENT_NOT_FOUND
    assert "image build data" in gone.value.remedy


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_id", "python:latest"),
        ("image_id", ID[:-1]),
        ("python", "python3"),
        ("python", "/bin/sh -c"),
        ("version", "2.7"),
        ("sys_path", ["relative"]),
        ("sys_path", "/opt"),
        ("packages", [1]),
        ("name", "other"),
        ("format", 2),
        ("extra", 1),
    ],
)
def test_a_record_that_is_not_exactly_right_is_refused(tmp_path: Path, key: str, value: Any) -> None:
    save_image(tmp_path, IMAGE)
    path = tmp_path / "data.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(SandboxdError) as refused:
        load_image(tmp_path, "data")
    assert refused.value.code == Code.ENVIRONMENT_FAILED


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "-x", "a:b", "x" * 64])
def test_a_name_cannot_lead_elsewhere(tmp_path: Path, name: str) -> None:
    with pytest.raises(SandboxdError) as refused:
        load_image(tmp_path, name)
    assert refused.value.code == Code.INVALID_REQUEST


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="image_id"):
        save_image(tmp_path, Image("x", "latest", "/usr/bin/python3", "3.11"))
    assert image_names(tmp_path) == []
