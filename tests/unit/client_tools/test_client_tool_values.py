"""Values across the wire: what goes out comes back, what cannot is refused with its place, and nothing is decoded."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import io
import json
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sandboxd_client import ToolImage, ToolTable, ToolValueError
from sandboxd_client.tools import frames
from sandboxd_client.tools.values import MAX_VALUE_BYTES, TAG, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
IMAGES = st.builds(ToolImage, st.sampled_from(["image/png", "image/webp"]), st.binary(max_size=20))
VALUES = st.recursive(
    SCALARS | st.binary(max_size=50) | IMAGES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.just(TAG), inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_what_goes_out_comes_back(value):
    text = encode(value)
    assert decode(text) == value
    json.loads(text)


class Colour(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    tag: object = None


def test_kinds_that_json_has_not_become_plain():
    value = {
        "tuple": (1, 2),
        "set": {3},
        "enum": Colour.RED,
        Colour.RED: 1,
        "point": Point(1, Point(2)),
        "date": dt.date(2026, 1, 2),
        "numpy": [np.int64(3), np.float64(0.5), np.bool_(True), np.str_("s")],
        "array": bytearray(b"a"),
        "view": memoryview(b"b"),
    }
    assert decode(encode(value)) == {
        "tuple": [1, 2],
        "set": [3],
        "enum": "red",
        "red": 1,
        "point": {"x": 1, "tag": {"x": 2, "tag": None}},
        "date": "2026-01-02",
        "numpy": [3, 0.5, True, "s"],
        "array": b"a",
        "view": b"b",
    }


def test_a_dictionary_cannot_pose_as_another_kind():
    forged = {TAG: "image", "mime": "text/html", "base64": "PGI+"}
    assert json.loads(encode(forged))[TAG] == "object"
    assert decode(encode(forged)) == forged


def test_an_image_is_sent_and_never_decoded():
    picture = Image.new("CMYK", (2, 3))
    got = decode(encode({"p": picture}))["p"]
    assert isinstance(got, ToolImage)
    assert got.mime == "image/png"
    assert Image.open(io.BytesIO(got.data)).size == (2, 3)
    garbage = decode(json.dumps({TAG: "image", "mime": "image/png", "base64": "AAAA"}))
    assert garbage.data == b"\0\0\0"
    assert "\\x00" not in repr(garbage)


LOOP: list[object] = []
LOOP.append(LOOP)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"a": [1, {2j}]}, r"the result\['a'\]\[1\]\[0\] is of type complex"),
        (float("nan"), "which JSON has not"),
        ([float("inf")], r"the result\[0\] is inf"),
        ({1: 2}, "has the key 1; keys must be text"),
        (object(), "is of type object"),
        (LOOP, "holds itself"),
        ([0] * 60_000, "more than 50000 values"),
        ("x" * (MAX_VALUE_BYTES + 1), "can be sent at most"),
        ("\ud800", "surrogate"),
        (10**1000, "more than 1000 digits"),
        (np.zeros(3), "send .tolist"),
        (print, "is of type builtin_function"),
    ],
    ids=lambda one: repr(one)[:30],
)
def test_what_cannot_be_sent_says_where_and_what_instead(value, said):
    with pytest.raises(ToolValueError, match=said):
        encode(value, "the result")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        '{"$sandboxd":"pickle","base64":"gASVAQ=="}',
        '{"$sandboxd":"bytes"}',
        '{"$sandboxd":"bytes","base64":"a"}',
        '{"$sandboxd":"bytes","base64":"!!!!"}',
        '{"$sandboxd":"image","mime":"text/html","base64":""}',
        '{"$sandboxd":"object","pairs":[1]}',
        '{"$sandboxd":["bytes"]}',
        '{"$sandboxd":"dataframe","columns":["a"],"dtypes":[],"data":[],"index":null}',
        '{"$sandboxd":"dataframe","columns":["a"],"dtypes":["int64"],"data":[["x"]],"index":null}',
        '{"$sandboxd":"dataframe","columns":["a"],"dtypes":["int64"],"data":[[null]],"index":null}',
        '{"$sandboxd":"dataframe","columns":["a","b"],"dtypes":["object","object"],"data":[[1],[1,2]],"index":null}',
        "[" * 100_000,
    ],
)
def test_what_is_no_value_is_refused_and_nothing_else_happens(text):
    with pytest.raises(ToolValueError):
        decode(text)


def test_a_pickle_is_bytes_and_stays_bytes():
    data = pickle.dumps(print)
    assert decode(encode(data)) == data


FRAME = pd.DataFrame(
    {
        "i": [1, 2, 3],
        "f": [0.5, float("nan"), float("inf")],
        "b": [True, False, True],
        "s": ["a", None, "ü"],
        "t": pd.to_datetime(["2026-01-01T01:02:03.5", None, "2026-01-03"], format="ISO8601"),
        "z": pd.to_datetime(["2026-01-01T01:02:03", "2026-06-01", None], format="ISO8601").tz_localize(
            "Europe/Berlin"
        ),
        "d": pd.to_timedelta(["1s", "2 days", None]),
        "c": pd.Categorical(["x", "y", "x"]),
        "n": pd.array([1, None, 3], dtype="Int64"),
        "q": pd.array(["x", None, "y"], dtype="string"),
        "o": [1, "x", None],
    }
)


@pytest.mark.parametrize(
    "frame",
    [
        FRAME,
        FRAME.set_index("i"),
        FRAME.set_index("t").iloc[[0, 2]],
        FRAME.iloc[:0],
        FRAME[["i", "f"]].set_axis(["same", "same"], axis=1),
        FRAME[["i", "f"]].set_axis([3, 4], axis=1),
        pd.DataFrame(),
        pd.DataFrame(index=[1, 2]),
        FRAME.iloc[1:],
    ],
    ids=range(9),
)
def test_a_frame_comes_back_with_dtypes_and_index(frame):
    back = decode(encode(frame))
    pd.testing.assert_frame_equal(
        back, frame, check_categorical=False, check_column_type=False, check_index_type=False
    )
    assert [str(one) for one in back.dtypes] == [str(one) for one in frame.dtypes]


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame({"a": [object()]}), "cell of type object"),
        (pd.DataFrame({("a", "b"): [1]}), "names must be text"),
        (pd.DataFrame({"a": [1j]}), "dtype complex128"),
        (pd.DataFrame({"a": [1, 2]}, index=pd.MultiIndex.from_tuples([(1, 2), (3, 4)])), "reset_index"),
    ],
)
def test_a_frame_that_cannot_be_sent_says_why(frame, said):
    with pytest.raises(ToolValueError, match=said):
        encode(frame, "the result")


def test_without_pandas_a_table_is_what_comes(monkeypatch):
    text = encode(FRAME[["i", "s"]])
    monkeypatch.setattr(frames.sys, "modules", {k: v for k, v in frames.sys.modules.items() if k != "pandas"})
    monkeypatch.setattr(frames.importlib.util, "find_spec", lambda _: None)
    table = decode(text)
    assert isinstance(table, ToolTable)
    assert table.columns == ["i", "s"]
    assert table.rows == [(1, "a"), (2, None), (3, "ü")]
    assert json.loads(encode(table)) == json.loads(text)


@pytest.mark.parametrize(
    "zone",
    [
        "dateutil//etc/passwd",
        "dateutil/Europe/Berlin",
        "/etc/passwd",
        "../../etc/passwd",
        "a//b",
        "UTC/../x",
        "tzlocal()",
        "",
    ],
)
def test_a_zone_is_a_name_and_never_a_path(zone):
    assert not frames._DTYPE.fullmatch(f"datetime64[ns, {zone}]")


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC", "UTC+05:30"]
)
def test_a_zone_by_its_name_passes(zone):
    frame = pd.DataFrame({"t": pd.to_datetime(["2026-01-01"]).tz_localize(zone)})
    assert str(decode(encode(frame))["t"].dtype) == str(frame["t"].dtype)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text())
def test_no_dtype_of_a_stranger_reaches_astype(dtype):
    text = json.dumps({TAG: "dataframe", "columns": ["a"], "dtypes": [dtype], "data": [[]], "index": None})
    try:
        frame = decode(text)
    except ToolValueError:
        return
    assert str(frame.dtypes.iloc[0]) in {"object", "str"} or frames._DTYPE.fullmatch(dtype)
