from build_order import build_order


def test_nothing_needed():
    assert build_order({"b": [], "a": []}) == ["a", "b"]


def test_one_step():
    assert build_order({"app": ["lib"], "lib": []}) == ["lib", "app"]


def test_chain():
    assert build_order({"app": ["lib"], "lib": ["core"], "core": []}) == ["core", "lib", "app"]


def test_what_is_only_needed_is_built_too():
    assert build_order({"app": ["zlib"]}) == ["zlib", "app"]


def test_diamond():
    needs = {"app": ["left", "right"], "left": ["core"], "right": ["core"], "core": []}
    assert build_order(needs) == ["core", "left", "right", "app"]


def test_cycles():
    import pytest

    from build_order import Cycle

    for needs in ({"a": ["a"]}, {"a": ["b"], "b": ["a"]}, {"x": ["a"], "a": ["b"], "b": ["c"], "c": ["a"]}):
        with pytest.raises(Cycle):
            build_order(needs)
