"""JSON, tables, archives and arrays that somebody else made are data within limits, or refused with the reason."""

import io
import json
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from convlens.core.errors import UserError
from convlens.core.plain_arrays import parse_arrays
from convlens.core.plain_json import parse_json
from convlens.core.plain_table import parse_table

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False) |
    st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES), st.booleans())
def test_whatever_is_plain_comes_back(value, escaped):
    assert parse_json(json.dumps(value, ensure_ascii=escaped).encode()) == value


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "is not JSON"),
        (b"[1]", "holds list"),
        (b'{"a": 1, "a": 1}', "has the key 'a' twice"),
        (b'{"a": {"b": 1, "b": 2}}', "has the key 'b' twice"),
        (b'{"a": NaN}', "has NaN"),
        (b'{"a": -1e999}', "has -1e999"),
        (b'{"a": ' + b"1" * 26 + b"}", "of 26 digits"),
        (b'{"a": "\\ud83d"}', "half of a character"),
        (b'{"\\udc00": 1}', "half of a character"),
        (b'{"a": "\xff"}', "is not UTF-8"),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", "nested too deeply"),
        (b'{"a": ' + b"[" * 10**5, "nested too deeply"),
        (b'{"a": [' + b"[]," * 10**6 + b"[]]}", "lists and groups"),
        (b'{"a": [' + b"0," * (3 * 10**6) + b"0]}", "more than 2,000,000 values"),
    ],
)
def test_what_is_no_plain_data_is_refused_with_the_reason(raw, reason):
    with pytest.raises(UserError, match=reason):
        parse_json(raw)


def test_a_whole_character_in_two_escapes_and_bytes_that_are_no_text_are_read():
    assert parse_json(b'{"a": "\\ud83d\\ude00"}') == {"a": "\U0001f600"}
    assert parse_json(b'{"a": "\xff\\ud83d\\ude00"}', errors="surrogateescape") == {"a": "\udcff\U0001f600"}
    with pytest.raises(UserError, match="half of a character"):
        parse_json(b'{"a": "\xff\\ud800"}', errors="surrogateescape")


def test_a_table_is_numbers_by_name_and_lacks_what_was_left_out():
    assert parse_table("epoch,loss\n1,0.5\n2,\n") == [{"epoch": 1.0, "loss": 0.5}, {"epoch": 2.0}]
    assert parse_table("epoch\n") == []


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789.,-e\n\"'\0\r\t naifx", max_size=60))
def test_any_text_is_a_table_of_finite_numbers_or_refused(text):
    try:
        rows = parse_table(text)
    except UserError:
        return
    assert all(np.isfinite(value) for row in rows for value in row.values())


def npz(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


@pytest.mark.parametrize("shape", [(), (3,), (2, 3), (0, 4), (2, 3, 4, 5)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_come_back_in_any_shape_and_order(shape, order):
    array = np.asarray(np.random.default_rng(0).normal(size=shape).astype("<f4"), order=order)
    (parsed,) = parse_arrays(npz(a=array), dtypes=["<f4"], most=10**6).values()
    np.testing.assert_array_equal(parsed, array)
    assert parsed.dtype == array.dtype


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_an_archive_changed_anywhere_is_read_as_it_was_or_refused(data):
    content = bytearray(npz(a=np.arange(50, dtype="<f4"), b=np.ones((3, 4), "<f4")))
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_arrays(bytes(content), dtypes=["<f4"], most=10**6)
    except UserError:
        return
    assert all(array.dtype == np.float32 and array.size in (50, 12) for array in parsed.values())


def test_a_member_is_not_unpacked_to_more_than_it_says():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", bytes(10**7))
    content = bytearray(file.getvalue())
    for marker, place in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        start = content.index(marker) + place
        content[start : start + 4] = (1000).to_bytes(4, "little")
    with pytest.raises(UserError, match="damaged|not one of"):
        parse_arrays(bytes(content), dtypes=["<f4"], most=10**6)
