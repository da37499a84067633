from units import to_celsius, to_fahrenheit


def test_to_fahrenheit():
    assert to_fahrenheit(100) == 212


def test_to_celsius():
    assert to_celsius(212) == 100


def test_freezing():
    assert to_celsius(32) == 0


def test_there_and_back():
    assert to_celsius(to_fahrenheit(-40)) == -40
