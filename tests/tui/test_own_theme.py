"""A user's own theme: put on, shown among the others, and told of when it is broken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coder.errors import ConfigError
from coder.tui import own_theme
from tests.tui.conftest import Show
from tests.tui.ports import ScriptedPort

MINE = """
base = "coder-light"
[window]
background = "#fff8e7"
accent = "#aa5500"
[styles]
"user.sign" = "bold #aa5500"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    themes = tmp_path / "themes"
    themes.mkdir()
    (themes / "mine.toml").write_text(MINE)
    return themes


def test_it_has_its_own_colours_and_its_bases(folder: Path) -> None:
    own = own_theme.read(folder, "mine")
    assert (own.theme.name, own.theme.background, own.theme.accent) == ("mine", "#fff8e7", "#aa5500")
    assert own.theme.dark is False
    assert (own.base, own.styles) == ("coder-light", {"user.sign": "bold #aa5500"})
    assert own_theme.names(folder) == ["mine"]
    assert own_theme.names(folder / "none") == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base = 'coder-pink'", "mine.toml: base: there is no theme 'coder-pink'"),
        ("base = 3", "mine.toml: base: there is no theme 3"),
        ("colours = 1", "mine.toml: colours: there is no such key"),
        ("window = 1", "mine.toml: window: must be a table"),
        ("[window]\nfore = '#fff'", "mine.toml: window.fore: there is no such colour"),
        ("[window]\naccent = 'pinkish'", "mine.toml: window.accent: 'pinkish' is no colour"),
        ("[window]\naccent = 3", "mine.toml: window.accent: 3 is no colour"),
        ("[styles]\nshout = 'bold'", "mine.toml: the theme file names a style 'shout'"),
        ("[", "mine.toml: "),
        ("\xff", "mine.toml: "),
        ("#" * 70_000, "longer than"),
    ],
)
def test_a_broken_one_is_told_by_file_and_key(folder: Path, text: str, said: str) -> None:
    (folder / "mine.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match=said.replace(".", r"\.")):
        own_theme.read(folder, "mine")


async def test_it_is_put_on_and_a_broken_one_changes_nothing(show: Show, folder: Path) -> None:
    async with show(ScriptedPort()) as shown:
        window = shown.window
        window.settings = replace(window.settings, themes=folder)
        await shown.write("/theme mine")
        await shown.press("enter")
        assert window.theme == "mine"
        assert "mine" in window.themes()
        (folder / "mine.toml").write_text("[window]\naccent = 'pinkish'")
        await shown.write("/theme coder-dark")
        await shown.press("enter")
        await shown.write("/theme mine")
        await shown.press("enter")
        assert window.theme == "coder-dark"
        assert "window.accent: 'pinkish' is no colour" in shown.text
