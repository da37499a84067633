"""Output is collected without keeping its middle."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.output import HeadTail


@given(chunks=st.lists(st.binary(max_size=40)), cap=st.integers(0, 60))
def test_both_ends_are_kept_however_the_output_is_cut(chunks: list[bytes], cap: int) -> None:
    sink = HeadTail(cap)
    for chunk in chunks:
        sink.feed(chunk)
    whole = b"".join(chunks)
    head, tail = sink.ends()
    assert sink.total == len(whole)
    assert whole.startswith(head)
    assert whole.endswith(tail)
    assert len(head) + len(tail) == min(cap, len(whole))


@pytest.mark.parametrize("size", [1, 1000, 100_000])
def test_little_is_held_of_much(size: int) -> None:
    sink = HeadTail(1000)
    for _ in range(3_000_000 // size if size > 1 else 10_000):
        sink.feed(b"x" * size)
    assert sum(map(len, (sink._head, sink._tail))) <= 500 + 2 * 500 + size
