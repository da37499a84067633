from lru import Cache


def test_holds_what_was_put():
    cache = Cache(2)
    cache.put("a", 1)
    assert cache.get("a") == 1
    assert cache.get("b") is None


def test_reading_is_use():
    cache = Cache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.get("a")
    cache.put("c", 3)
    assert cache.get("a") == 1
    assert cache.get("b") is None


def test_writing_again_is_use():
    cache = Cache(2)
    cache.put("a", 1)
    cache.put("b", 2)
    cache.put("a", 9)
    cache.put("c", 3)
    assert cache.get("a") == 9
    assert cache.get("b") is None


def test_asking_for_what_is_not_there_keeps_nothing():
    cache = Cache(2)
    assert cache.get("x", 5) == 5
    assert len(cache) == 0


def test_none_is_a_value():
    cache = Cache(1)
    cache.put("a", None)
    assert cache.get("a", 7) is None
