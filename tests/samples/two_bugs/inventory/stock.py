"""How many of each article there are."""


class Stock:
    def __init__(self):
        self._counts = {}

    def receive(self, code, count):
        self._counts[code] = self._counts.get(code, 0) + count

    def take(self, code, count):
        if self._counts.get(code, 0) < count:
            raise ValueError(f"not enough of {code}")
        self._counts[code] -= count

    def low(self, limit):
        """Codes of which `limit` or fewer are left, sorted."""
        return sorted(code for code, count in self._counts.items() if count < limit)
