class History:
    """Remembers the last events."""

    def __init__(self, limit=100):
        self.limit = limit
        self._events = []

    def record(self, event):
        self._events.append(event)
        if len(self._events) > self.limit:
            self._events.pop(0)

    def names(self):
        return [event.name for event in self._events]
