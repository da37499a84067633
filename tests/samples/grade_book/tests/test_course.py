import pytest
from gradebook.course import Course


@pytest.fixture
def course():
    course = Course("Algebra")
    for name, points in [("Cy", 80), ("Ann", 80), ("Bo", 95), ("Di", 40)]:
        course.enroll(name).add_score("midterm", points)
    return course


def test_report(course):
    assert course.report() == {"Cy": "B", "Ann": "B", "Bo": "A", "Di": "F"}


def test_ranking(course):
    assert course.ranking() == ["Bo", "Ann", "Cy", "Di"]


def test_pass_rate(course):
    assert course.pass_rate() == 0.75


def test_bad_score(course):
    with pytest.raises(ValueError):
        course.enroll("Cy").add_score("final", 101)
