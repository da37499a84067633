import pytest

from paging import page_of, pages


def test_full_pages():
    assert pages([1, 2, 3, 4], 2) == [[1, 2], [3, 4]]


def test_last_page_may_be_short():
    assert pages([1, 2, 3], 2) == [[1, 2], [3]]


def test_size_is_checked():
    with pytest.raises(ValueError):
        pages([1], 0)
