from calendar_tools.planner import busy_minutes, free_slots


def test_empty_day():
    assert free_slots([]) == ["09:00-17:00"]


def test_two_meetings():
    busy = [("10:00", "11:00"), ("13:00", "14:00")]
    assert free_slots(busy) == ["09:00-10:00", "11:00-13:00", "14:00-17:00"]


def test_a_short_meeting_inside_a_long_one():
    busy = [("09:00", "12:00"), ("10:00", "10:30")]
    assert busy_minutes(busy) == 180
