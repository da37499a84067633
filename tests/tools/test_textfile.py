"""Bytes to text and back: nothing about a file changes but what was edited."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.textfile import decode


@pytest.mark.parametrize(
    "data",
    [
        b"a\nb\n",
        b"a\r\nb\r\n",
        b"a\r\nb\nc",
        b"\xef\xbb\xbfa\r\n",
        b"caf\xe9\n",
        "käse ☃".encode(),
        b"",
        b"a\rb\r",
        b"\xef\xbb\xbf\xff",
    ],
)
def test_decoding_and_encoding_gives_the_same_bytes(data: bytes) -> None:
    file = decode(data)
    assert file is not None
    assert file.encode(file.text) == data


@given(st.binary(max_size=200))
def test_every_text_survives_the_round_trip(data: bytes) -> None:
    file = decode(data)
    assert (file is None) == (b"\x00" in data)
    assert file is None or file.encode(file.text) == data


def test_new_text_gets_the_line_ends_of_the_file() -> None:
    file = decode(b"a\r\nb\r\n")
    assert file is not None
    assert file.text == "a\nb\n"
    assert file.encode(file.adapt("x\r\ny\n")) == b"x\r\ny\r\n"
    unix = decode(b"a\n")
    assert unix is not None
    assert unix.encode(unix.adapt("x\r\n")) == b"x\n"


def test_a_file_that_is_not_utf8_takes_only_ascii() -> None:
    file = decode(b"caf\xe9\n")
    assert file is not None
    assert file.encode(file.text + "tea\n") == b"caf\xe9\ntea\n"
    refused = file.encode(file.text + "thé ☃\n")
    assert isinstance(refused, str)
    assert "not UTF-8" in refused


def test_lone_surrogates_are_refused_not_written() -> None:
    file = decode(b"a\n")
    assert file is not None
    assert isinstance(file.encode("\ud800"), str)


def test_binary_is_told_from_text() -> None:
    assert decode(b"\x7fELF\x00\x01") is None


def test_lines_are_counted_as_an_editor_counts_them() -> None:
    counts = {b"": 0, b"a": 1, b"a\n": 1, b"a\n\n": 2, b"a\x0cb\n": 1}
    for data, count in counts.items():
        file = decode(data)
        assert file is not None
        assert len(file.lines) == count
