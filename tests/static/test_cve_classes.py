"""Each published CVE class of RestrictedPython and smolagents, with variants: through both layers, and through layer 2 alone.

A variant holds if it is refused, or runs and gets nothing: no audit event, no forbidden object in its variables, no module
changed. The control runs the same texts in plain CPython: there each class must succeed, or its test shows nothing.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.static.corpus import HERE, sections
from tests.static.harness import BARE, CONTROL, RESTRICTED, Lab, Ran

CLASSES = sorted((HERE / "attacks").glob("*.py"))
VARIANTS = 5
# Plain CPython has no hooks to shadow: what these reach for is a guard's name.
_NO_CONTROL = {"cve_2026_55830_hook_shadowing"}


def fallen(ran: Ran) -> list[str]:
    """Return what an attack got."""
    bad = [ran.message] if ran.status in {"crash", "hang"} else []
    return bad + [*ran.events, *ran.loot] + (["the marker"] if "ESCAPED" in ran.stdout else [])


@pytest.fixture(scope="module")
def lab():
    with Lab() as one:
        yield one


@pytest.mark.parametrize("path", CLASSES, ids=lambda path: path.stem)
@pytest.mark.parametrize("way", [RESTRICTED, BARE])
def test_no_variant_gets_anything(lab: Lab, path: Path, way: str) -> None:
    variants = sections(path)
    assert len(variants) >= VARIANTS
    got = {variant.name: fallen(lab.run(variant.source, way)) for variant in variants}
    assert {name: what for name, what in got.items() if what} == {}


@pytest.mark.parametrize(
    "path", [one for one in CLASSES if one.stem not in _NO_CONTROL], ids=lambda path: path.stem
)
def test_the_class_succeeds_in_plain_python(lab: Lab, path: Path) -> None:
    fell = [variant for variant in sections(path) if fallen(lab.run(variant.source, CONTROL))]
    assert len(fell) * 2 >= len(sections(path))
