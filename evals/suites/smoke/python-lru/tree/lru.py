from collections import OrderedDict


class Cache:
    """Keeps the `size` entries that were used last."""

    def __init__(self, size):
        self.size = size
        self._entries = OrderedDict()

    def __len__(self):
        return len(self._entries)

    def put(self, key, value):
        self._entries[key] = value
        if len(self._entries) > self.size:
            self._entries.popitem(last=False)

    def get(self, key, default=None):
        return self._entries.get(key, default)
