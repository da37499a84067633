from slugs import slug


def test_plain():
    assert slug("Hello World") == "hello-world"


def test_no_dash_is_wasted():
    assert slug(" Hello,  World! ") == "hello-world"


def test_only_signs():
    assert slug("?!") == ""


def test_dashes_that_were_there():
    assert slug("--a--b--") == "a-b"
