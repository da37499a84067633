from listing import paginate
from listing.links import links


def test_first_page():
    page = paginate(list(range(25)))
    assert links(page, "/rows") == {"self": "/rows?page=1", "next": "/rows?page=2"}


def test_empty_list_has_one_page():
    assert paginate([]).pages == 1


def test_a_full_last_page_has_no_next():
    page = paginate(list(range(20)), number=2)
    assert links(page, "/rows") == {"self": "/rows?page=2", "prev": "/rows?page=1"}
