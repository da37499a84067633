from cachekit.memo import memoize


def test_second_call_is_cached():
    calls = []

    @memoize()
    def double(x):
        calls.append(x)
        return 2 * x

    assert [double(4), double(4)] == [8, 8]
    assert calls == [4]


def test_recently_used_values_stay():
    calls = []

    @memoize(capacity=2)
    def square(x):
        calls.append(x)
        return x * x

    square(1)
    square(2)
    square(1)
    square(3)
    square(1)
    assert calls == [1, 2, 3]
