from bus.events import Event
from bus.history import History


class Dispatcher:
    def __init__(self, handlers={}, history=None):
        self.handlers = handlers
        self.history = history or History()

    def subscribe(self, name, handler):
        self.handlers.setdefault(name, []).append(handler)

    def unsubscribe(self, name, handler):
        if handler in self.handlers.get(name, []):
            self.handlers[name].remove(handler)

    def publish(self, name, **payload):
        event = Event(name, payload)
        self.history.record(event)
        for handler in list(self.handlers.get(name, [])):
            handler(event)
        return event
