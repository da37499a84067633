from functools import wraps

from cachekit.lru import LRUCache


def memoize(capacity=128):
    """Decorator: remember the results of a function of positional arguments."""

    def decorate(function):
        cache = LRUCache(capacity)
        missing = object()

        @wraps(function)
        def wrapper(*args):
            value = cache.get(args, missing)
            if value is missing:
                value = function(*args)
                cache.put(args, value)
            return value

        wrapper.cache = cache
        return wrapper

    return decorate
