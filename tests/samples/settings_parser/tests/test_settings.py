import pytest
from settings import load
from settings.loader import SettingsError


def test_sections_and_types():
    text = "debug = yes\n[server]\nport = 8080  # default\n"
    assert load(text) == {"": {"debug": True}, "server": {"port": 8080}}


def test_value_may_hold_an_equals_sign():
    assert load("[db]\nurl = postgres://host/x?mode=ro\n")["db"]["url"] == "postgres://host/x?mode=ro"


def test_missing_equals_sign():
    with pytest.raises(SettingsError, match="line 2"):
        load("a = 1\nnonsense\n")
