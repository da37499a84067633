from build_order import build_order


def test_nothing_needed():
    assert build_order({"b": [], "a": []}) == ["a", "b"]


def test_one_step():
    assert build_order({"app": ["lib"], "lib": []}) == ["lib", "app"]


def test_chain():
    assert build_order({"app": ["lib"], "lib": ["core"], "core": []}) == ["core", "lib", "app"]
