from csvline import split_line


def test_plain():
    assert split_line("a,b,c") == ["a", "b", "c"]


def test_quoted():
    assert split_line('a,"b",c') == ["a", "b", "c"]


def test_comma_in_quotes():
    assert split_line('a,"b,c",d') == ["a", "b,c", "d"]


def test_doubled_quotes():
    assert split_line('"say ""hi""",x') == ['say "hi"', "x"]


def test_empty_fields():
    assert split_line("a,,") == ["a", "", ""]
    assert split_line('"",x') == ["", "x"]


def test_empty_line():
    assert split_line("") == [""]


def test_several_commas_in_quotes():
    assert split_line('"a,b,c",",",d') == ["a,b,c", ",", "d"]
