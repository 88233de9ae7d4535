"""What people end a cell with: pictures of every mode, tables of every kind, and objects that describe themselves badly."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.guest_harness import Guest

TABLE = "application/vnd.sandboxd.table+json"
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def image_guest() -> Iterator[Guest]:
    with Guest(preload=("PIL.Image",)) as running:
        yield running


@pytest.mark.parametrize(
    "mode",
    ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "RGBa", "La", "CMYK", "YCbCr", "LAB", "HSV", "I", "F", "I;16", "I;16B"],
)  # fmt: skip
def test_an_image_of_any_mode_is_a_png(image_guest: Guest, mode: str) -> None:
    code = f"from PIL import Image\nImage.new({mode!r}, (3, 2))"
    if mode in {"PA", "La"}:  # which are made of others alone
        code = f"from PIL import Image\nImage.new({mode[0]!r}, (3, 2)).convert({mode[0] + 'A'!r}).convert({mode!r})"
    assert image_guest.run(code).image().startswith(PNG)


def test_an_image_keeps_its_size_and_colours(image_guest: Guest) -> None:
    png = image_guest.run("Image.new('RGBA', (7, 5), (1, 2, 3, 4))").image()
    assert (int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big"), png[25]) == (7, 5, 6)


def test_an_image_that_cannot_be_drawn_says_why(image_guest: Guest) -> None:
    (display,) = image_guest.run("Image.new('RGB', (0, 0))").displays
    assert "[no image/png: " in display["data"]["text/plain"]


def test_several_in_one_cell_come_in_order(image_guest: Guest) -> None:
    cell = image_guest.run("for n in range(3): display(Image.new('L', (n + 1, 1)))\nImage.new('L', (9, 9))")
    assert [shown["is_result"] for shown in cell.displays] == [False, False, False, True]
    assert all("image/png" in shown["data"] for shown in cell.displays)


def test_a_styler_is_shown_as_styled_and_as_a_table(data_guest: Guest) -> None:
    # Where jinja2 is missing pandas has no Styler; one of its shape stands in, for it is known by name only.
    code = """
import sys, types, pandas as pd
frame = pd.DataFrame({'a': [1, 2]})
try:
    styler = frame.style
except (ImportError, AttributeError):
    class Styler:
        data = frame
        def _repr_html_(self): return '<table style="background-color: red">'
    sys.modules['pandas.io.formats.style'] = types.SimpleNamespace(Styler=Styler)
    styler = Styler()
else:
    styler = styler.highlight_max(color='red')
styler"""
    (display,) = data_guest.run(code).displays
    assert "background-color" in display["data"]["text/html"]
    assert json.loads(display["data"][TABLE])["data"] == [[1, 2]]


def test_tables_of_every_kind(data_guest: Guest) -> None:
    code = """
import numpy as np, pandas as pd
kinds = {
    "i8": pd.Series([1, -1], dtype="int8"), "u": pd.Series([2**64 - 1, 0], dtype="uint64"),
    "f": pd.Series([np.inf, -np.inf]), "n": pd.Series([pd.NA, 1], dtype="Int64"), "b": pd.Series([True, None], dtype="boolean"),
    "t": pd.to_datetime(["2020-01-02 03:04:05.123456789", None], utc=True), "d": pd.to_timedelta(["1h", None]),
    "p": pd.period_range("2020-01", periods=2, freq="M"), "c": pd.Categorical(["x", "y"]),
    "o": [{"k": object}, b"\\xff"], "z": [1 + 2j, 3], "iv": pd.interval_range(0, 2),
}
frame = pd.DataFrame({name: list(values) if name in ("o", "z") else values for name, values in kinds.items()})
frame.index = pd.MultiIndex.from_tuples([("a", 1), ("b", 2)], names=["x", "y"])
frame.columns = pd.MultiIndex.from_tuples([("top", name) for name in frame.columns])
frame"""
    (display,) = data_guest.run(code).displays
    table = json.loads(display["data"][TABLE])
    assert len(table["columns"]) == len(table["dtypes"]) == len(table["data"]) == 12
    by_name = dict(zip([name.split("'")[3] for name in table["columns"]], table["data"], strict=True))
    assert (by_name["i8"], by_name["f"], by_name["n"], by_name["b"]) == (
        [1, -1],
        ["inf", "-inf"],
        [None, 1],
        [True, None],
    )
    assert by_name["u"] == [str(2**64 - 1), 0]
    assert (by_name["t"][1], by_name["d"][1]) == (None, None)
    assert table["index"] == ["('a', 1)", "('b', 2)"]


@pytest.mark.parametrize(
    ("make", "rows", "columns"),
    [
        ("pd.DataFrame()", 0, 0),
        ("pd.DataFrame({'a': []})", 0, 1),
        ("pd.DataFrame(np.zeros((2_000_000, 3)))", 2_000_000, 3),
        ("pd.DataFrame(np.zeros((2, 5_000)))", 2, 5_000),
        ("pd.DataFrame({'a': ['x' * 10_000_000]})", 1, 1),
    ],
)  # fmt: skip
def test_a_frame_of_any_size_is_small_and_says_how_large_it_is(
    data_guest: Guest, make: str, rows: int, columns: int
) -> None:
    (display,) = data_guest.run(f"import numpy as np, pandas as pd\n{make}").displays
    table = json.loads(display["data"][TABLE])
    assert (table["row_count"], table["column_count"]) == (rows, columns)
    assert table["truncated"] == (rows > 200 or columns > 100)
    assert sum(map(len, display["data"].values())) < 1_000_000


BAD = {
    "raises": "def _repr_html_(self): raise ValueError",
    "exits": "def _repr_html_(self): raise SystemExit(3)",
    "gives a number": "def _repr_html_(self): return 7",
    "gives itself": "def _repr_mimebundle_(self, include=None, exclude=None): return self",
    "gives a bundle of objects": "def _repr_mimebundle_(self, **_): return {'text/html': object(), 1: 2, 'x' * 999: 'y'}",
    "png that is text": "def _repr_png_(self): return 'not base64!'",
    "json that is none": "def _repr_json_(self): return {1: {2: object()}}",
    "json in a circle": "def _repr_json_(self):\n        circle = []; circle.append(circle); return circle",
    "deep json": "def _repr_json_(self):\n        deep = []\n        for _ in range(100_000): deep = [deep]\n        return deep",
    "wrong signature": "def _repr_html_(self, a, b): return 'x'",
    "a property that raises": "_repr_html_ = property(lambda self: 1 / 0)",
    "surrogates": "def _repr_html_(self): return '\\ud800'",
}


@pytest.mark.parametrize("name", BAD)
def test_an_object_that_describes_itself_badly_keeps_its_repr(guest: Guest, name: str) -> None:
    cell = guest.run(f"class Bad:\n    {BAD[name]}\n    def __repr__(self): return 'plain'\nBad()")
    if name == "exits":
        assert not cell.ok
    else:
        assert cell.text == "plain"
        assert all(shown["data"]["text/plain"].startswith("plain") for shown in cell.displays)
    assert guest.value("6 * 7") == "42"


def test_a_repr_that_prints_prints(guest: Guest) -> None:
    cell = guest.run("class Loud:\n    def _repr_html_(self):\n        print('said'); return '<b>'\nLoud()")
    assert cell.displays[0]["data"]["text/html"] == "<b>"


def test_forms_beyond_the_limit_are_counted(guest: Guest) -> None:
    (display,) = guest.run("display({f'x/{n}': 'y' for n in range(40)}, raw=True)").displays
    assert len(display["data"]) == 17
    assert "24 more forms left out" in display["data"]["text/plain"]


def test_figures_beyond_the_limit_are_counted() -> None:
    code = (
        "import matplotlib.pyplot as plt\nfor n in range(53):\n    plt.figure(figsize=(1, 1)).add_subplot()"
    )
    with Guest(preload=("matplotlib.pyplot",)) as guest:
        cell = guest.run("import warnings; warnings.simplefilter('ignore')\n" + code)
    assert sum("image/png" in shown["data"] for shown in cell.displays) == 50
    assert "3 more figures left out" in cell.displays[-1]["data"]["text/plain"]


def test_every_form_that_jupyter_names(guest: Guest) -> None:
    code = """
class All:
    def _repr_javascript_(self): return 'alert(1)'
    def _repr_pdf_(self): return b'%PDF-1.7'
    def __repr__(self): return 'all'
All()"""
    (display,) = guest.run(code).displays
    assert display["data"]["application/javascript"] == "alert(1)"
    assert display["base64"] == ["application/pdf"]
