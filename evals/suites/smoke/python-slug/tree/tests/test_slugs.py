from slugs import slug


def test_plain():
    assert slug("Hello World") == "hello-world"


def test_no_dash_is_wasted():
    assert slug(" Hello,  World! ") == "hello-world"
