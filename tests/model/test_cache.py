"""The prefix-cache contract: a growing prompt must be found in the cache, and it is said once when it is not."""

from coder.model.cache import LONG, CacheMeter
from coder.model.messages import Usage


def usage(prompt: int, cached: int = 0, *, reported: bool = True) -> Usage:
    return Usage(prompt=prompt, cached=cached, cached_reported=reported)


def test_only_what_was_sent_before_can_be_cached() -> None:
    meter = CacheMeter()
    for told in (usage(1000), usage(1500, 990), usage(2000, 1500)):
        assert meter.note(told) == ""
    assert (meter.reusable, meter.cached) == (2500, 2490)
    assert meter.rate == 2490 / 2500


def test_nothing_is_known_after_one_request() -> None:
    meter = CacheMeter()
    meter.note(usage(1000))
    assert meter.rate is None


def test_three_long_prompts_without_a_hit_are_an_alarm_and_only_one() -> None:
    meter = CacheMeter()
    alarms = [meter.note(usage(LONG + n)) for n in range(8)]
    assert alarms == ["", "", "", "off", "", "", "", ""]


def test_a_server_that_reports_nothing_is_another_matter() -> None:
    meter = CacheMeter()
    alarms = [meter.note(usage(LONG + n, reported=False)) for n in range(8)]
    assert [alarm for alarm in alarms if alarm] == ["unreported"]


def test_short_prompts_prove_nothing() -> None:
    meter = CacheMeter()
    assert [meter.note(usage(LONG // 2 + n)) for n in range(9)] == [""] * 9


def test_one_hit_begins_the_count_anew() -> None:
    meter = CacheMeter()
    alarms = [meter.note(usage(LONG + n, cached)) for n, cached in enumerate([0, 0, 0, 4096, 0, 0])]
    assert alarms == [""] * 6


def test_a_rewritten_conversation_owes_nothing_to_the_cache() -> None:
    meter = CacheMeter()
    meter.note(usage(9000))
    meter.rewritten()
    meter.note(usage(6000))
    assert meter.reusable == 0
