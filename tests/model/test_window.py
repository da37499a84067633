"""How full the context is, calibrated by what servers count."""

import pytest

from coder.model.window import Window


def test_before_any_report_four_characters_are_a_token() -> None:
    assert Window().expects(4000) == 1000


def test_after_a_report_the_rest_is_reckoned_in_its_ratio() -> None:
    window = Window()
    window.told(size=6000, tokens=2000)
    assert window.expects(6000) == 2000
    assert window.expects(9000) == 3000
    assert window.expects(3000) == 1000


@pytest.mark.parametrize(
    ("limit", "reserve", "tokens", "full"),
    [
        (8000, 1000, 6900, False),
        (8000, 1000, 7100, True),
        (8000, 32000, 6100, True),
        (None, 1000, 10**6, False),
    ],
)
def test_it_is_full_when_the_answer_would_have_too_little_room(
    limit: int | None, reserve: int, tokens: int, full: bool
) -> None:
    window = Window(limit, reserve)
    window.told(size=tokens * 3, tokens=tokens)
    assert window.is_full(tokens * 3) is full


def test_a_ratio_that_text_cannot_have_is_not_believed() -> None:
    window = Window()
    window.told(size=100, tokens=900)  # the tools' schemas are in the prompt, too
    assert window.expects(10_100) == 900 + 5000


def test_a_prompt_counted_far_too_small_was_cut() -> None:
    window = Window()
    assert window.lost(size=60_000, tokens=4096)
    assert not window.lost(size=60_000, tokens=9000)
    assert not window.lost(size=1000, tokens=20)
    assert not window.lost(size=60_000, tokens=0), "a server that does not count has not cut"


def test_growth_that_does_not_arrive_is_noticed() -> None:
    window = Window()
    window.told(size=12_000, tokens=4000)
    assert window.lost(size=24_000, tokens=4050)
    assert not window.lost(size=24_000, tokens=6500)
    assert not window.lost(size=6_000, tokens=2000), "it was made shorter"
