from csvline import split_line


def test_plain():
    assert split_line("a,b,c") == ["a", "b", "c"]


def test_quoted():
    assert split_line('a,"b",c') == ["a", "b", "c"]


def test_comma_in_quotes():
    assert split_line('a,"b,c",d') == ["a", "b,c", "d"]
