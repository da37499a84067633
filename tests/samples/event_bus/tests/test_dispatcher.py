from bus.dispatcher import Dispatcher


def test_handlers_are_called():
    seen = []
    bus = Dispatcher()
    bus.subscribe("saved", lambda event: seen.append(event.payload["id"]))
    bus.publish("saved", id=3)
    assert seen == [3]


def test_two_buses_share_nothing():
    seen = []
    first, second = Dispatcher(), Dispatcher()
    first.subscribe("opened", seen.append)
    second.publish("opened")
    assert seen == []


def test_history():
    bus = Dispatcher()
    bus.publish("a")
    bus.publish("b")
    assert bus.history.names() == ["a", "b"]
