"""Rich results and displays, by Jupyter's conventions, bounded."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

import pytest

from tests.guest_harness import Guest

TABLE = "application/vnd.sandboxd.table+json"


def test_plain_values_make_no_display(guest: Guest) -> None:
    assert guest.run("[1, 2]").displays == []


@pytest.mark.parametrize(
    ("method", "value", "mime", "expected"),
    [
        ("_repr_html_", "'<b>x</b>'", "text/html", "<b>x</b>"),
        ("_repr_markdown_", "'*x*'", "text/markdown", "*x*"),
        ("_repr_latex_", "'$x$'", "text/latex", "$x$"),
        ("_repr_svg_", "'<svg/>'", "image/svg+xml", "<svg/>"),
        ("_repr_json_", "{'a': [1]}", "application/json", '{"a": [1]}'),
        ("_repr_html_", "('<i/>', {'meta': 1})", "text/html", "<i/>"),
    ],
)
def test_display_methods(guest: Guest, method: str, value: str, mime: str, expected: str) -> None:
    cell = guest.run(
        f"class Shown:\n    def {method}(self): return {value}\n    def __repr__(self): return 'S'\nShown()"
    )
    (display,) = cell.displays
    assert display["is_result"]
    assert display["data"] == {"text/plain": "S", mime: expected}
    assert display["base64"] == []
    assert cell.text == "S"


def test_binary_forms_are_base64(guest: Guest) -> None:
    code = "class Shown:\n    def _repr_png_(self): return b'\\x89PNG'\n    def _repr_jpeg_(self): return '/9j/'\nShown()"
    (display,) = guest.run(code).displays
    assert sorted(display["base64"]) == ["image/jpeg", "image/png"]
    assert base64.b64decode(display["data"]["image/png"]) == b"\x89PNG"


def test_mimebundle(guest: Guest) -> None:
    code = """
class Shown:
    def _repr_mimebundle_(self, include, exclude):
        return {"application/vnd.plot+json": {"x": 1}, "text/plain": "mine", "image/png": b"p", 5: "no"}, {}
Shown()"""
    (display,) = guest.run(code).displays
    assert json.loads(display["data"]["application/vnd.plot+json"]) == {"x": 1}
    assert display["base64"] == ["image/png"]


@pytest.mark.parametrize(
    "body", ["raise ValueError", "return 5", "return object()", "raise NotImplementedError"]
)
def test_failing_display_methods_leave_the_repr(guest: Guest, body: str) -> None:
    methods = ("_repr_html_", "_repr_png_", "_repr_mimebundle_", "_repr_json_")
    lines = "".join(f"    def {method}(self, **k): {body}\n" for method in methods)
    cell = guest.run(f"class Shown:\n    def __repr__(self): return 'S'\n{lines}Shown()")
    assert cell.ok
    assert cell.text == "S"
    assert [d["data"] for d in cell.displays if set(d["data"]) - {"text/plain", "application/json"}] == []


def test_objects_that_answer_every_name_have_no_rich_form(guest: Guest) -> None:
    assert (
        guest.run(
            "from unittest.mock import MagicMock\nclass P:\n    def __getattr__(self, n): return lambda *a, **k: 'x'\nP()"
        ).displays
        == []
    )
    assert guest.run("MagicMock()").displays == []


def test_display_builtin(guest: Guest) -> None:
    cell = guest.run("display(1, 'two')\ndisplay({'text/html': '<p>', 'text/plain': 'p'}, raw=True)")
    assert [d["data"] for d in cell.displays] == [
        {"text/plain": "1"},
        {"text/plain": "'two'"},
        {"text/plain": "p", "text/html": "<p>"},
    ]
    assert not any(d["is_result"] for d in cell.displays)
    cell = guest.run("class Bad:\n    __repr__ = lambda s: 1 / 0\ndisplay(Bad())")
    assert cell.displays[0]["data"]["text/plain"] == "<Bad whose repr raised ZeroDivisionError>"


def test_an_item_over_the_limit_keeps_its_text(guest: Guest) -> None:
    (display,) = guest.run(
        "class Big:\n    def _repr_html_(self): return 'x' * 2_000_000\n    def __repr__(self): return 'B'\nBig()"
    ).displays
    assert display["dropped"] == 2_000_000
    assert display["data"] == {"text/plain": "B\n[text/html left out: 2,000,000 bytes are over the limit]"}


def test_displays_of_a_cell_are_bounded_in_all(guest: Guest) -> None:
    cell = guest.run(
        "class Big:\n    def _repr_html_(self): return 'é' * 450_000\nfor _ in range(10): display(Big())\nfor _ in range(20_000): display('')"
    )
    total = sum(len(v.encode()) for d in cell.displays for v in d["data"].values())
    assert total < 3_000_000 + 200
    assert "more displays" in cell.displays[-1]["data"]["text/plain"]
    assert cell.displays[-1]["dropped"] > 0
    assert guest.run("display('fresh budget')").displays[0]["dropped"] == 0


def test_display_from_threads_keeps_frames_whole(guest: Guest) -> None:
    code = """
import threading
threads = [threading.Thread(target=lambda: [display('y' * 1000) for _ in range(50)]) for _ in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
1"""
    assert len(guest.run(code).displays) == 200


def test_display_of_an_ended_cell_is_dropped(guest: Guest) -> None:
    guest.run(
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.05), display('late'))).start()"
    )
    guest.value("import time\n1")
    assert guest.value("2") == "2"


def test_dataframe_is_html_and_columns(data_guest: Guest) -> None:
    code = """
import numpy as np, pandas as pd
frame = pd.DataFrame({"n": [1, 2], "f": [0.5, np.nan], "t": pd.to_datetime(["2020-01-02", None]), "s": ["a", None], "i": [np.inf, 1.0]})
frame"""
    (display,) = data_guest.run(code).displays
    table = json.loads(display["data"][TABLE])
    assert table["columns"] == ["n", "f", "t", "s", "i"]
    assert table["dtypes"][:2] == ["int64", "float64"]
    assert table["data"] == [[1, 2], [0.5, None], ["2020-01-02T00:00:00", None], ["a", None], ["inf", 1.0]]
    assert (table["index"], table["row_count"], table["truncated"]) == ([0, 1], 2, False)
    assert "<table" in display["data"]["text/html"]


def test_large_and_odd_frames(data_guest: Guest) -> None:
    code = """
import pandas as pd
frame = pd.DataFrame([[i, 2**70, [1], "x" * 1000] for i in range(1000)], columns=["a", "a", ("t", 1), None])
frame"""
    (display,) = data_guest.run(code).displays
    table = json.loads(display["data"][TABLE])
    assert table["columns"] == ["a", "a", "('t', 1)", "nan"] or table["columns"][:3] == ["a", "a", "('t', 1)"]
    assert [len(column) for column in table["data"]] == [200] * 4
    assert table["data"][1][0] == str(2**70)
    assert len(table["data"][3][0]) < 600
    assert (table["row_count"], table["truncated"]) == (1000, True)


def test_series_is_a_table(data_guest: Guest) -> None:
    (display,) = data_guest.run("import pandas as pd\npd.Series([1, 2], name='v', index=['p', 'q'])").displays
    table = json.loads(display["data"][TABLE])
    assert (table["columns"], table["index"], table["data"]) == (["v"], ["p", "q"], [[1, 2]])


@pytest.fixture(scope="module")
def plot_guest() -> Iterator[Guest]:
    pytest.importorskip("matplotlib", reason="figures need matplotlib in this interpreter")
    with Guest() as running:  # not preloaded: the import hook is under test too
        yield running


def test_open_figures_become_images_at_the_end(plot_guest: Guest) -> None:
    cell = plot_guest.run("import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.figure()\nNone")
    assert cell.image().startswith(b"\x89PNG")
    assert plot_guest.value("plt.get_fignums()") == "[]"


def test_show_makes_one_image_each(plot_guest: Guest) -> None:
    cell = plot_guest.run(
        "import matplotlib\nimport matplotlib.pyplot as plt\nmatplotlib.use('Agg')\nplt.plot([1]); plt.show()\nplt.plot([2]); plt.show()"
    )
    assert len(cell.displays) == 2
    assert plot_guest.output("stderr") == ""


def test_a_figure_as_result_is_shown_once(plot_guest: Guest) -> None:
    cell = plot_guest.run("import matplotlib.pyplot as plt\nfig, ax = plt.subplots()\nax.bar([1], [2])\nfig")
    assert [d["is_result"] for d in cell.displays] == [True]


def test_a_figure_that_cannot_be_drawn_says_why(plot_guest: Guest) -> None:
    cell = plot_guest.run("import matplotlib.pyplot as plt\nplt.plot([1])\nplt.title(r'$\\frac{$'); None")
    assert cell.ok
    assert "no image/png: ValueError" in cell.displays[0]["data"]["text/plain"]


def test_an_interrupted_cell_leaves_no_figure(plot_guest: Guest) -> None:
    plot_guest.begin("import matplotlib.pyplot as plt\nplt.plot([1])\nwhile True: pass")
    storm = plot_guest.storm(0.3)
    assert plot_guest.finish().displays == []
    storm.join()
    assert plot_guest.run("1").displays == []
