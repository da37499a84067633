"""Layers, and what a hostile repository may not set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from coder.config import PROJECT_FILE, SETTINGS, Config, load
from coder.errors import ConfigError


def configured(
    tmp_path: Path, *, user: str = "", project: str = "", environ: dict[str, str] | None = None, **flags: Any
) -> Config:
    (tmp_path / "user.toml").write_text(user)
    (tmp_path / PROJECT_FILE).write_text(project)
    return load(project=tmp_path, flags=flags, environ=environ or {}, user_file=tmp_path / "user.toml")


def test_every_layer_beats_the_one_below_and_every_value_knows_its_layer(tmp_path: Path) -> None:
    user = "[limits]\nturns = 2\ntokens = 2\nseconds = 2\n[model]\nname = 'user'"
    project = "[limits]\ntokens = 3\nseconds = 3"
    found = configured(tmp_path, user=user, project=project, environ={"CODER_MODEL": "env"}, timeout=5.0)
    assert (found.max_turns, found.max_tokens, found.timeout, found.model) == (2, 3, 5.0, "env")
    assert found.layer("max_turns").endswith("user.toml")
    assert found.layer("max_tokens").endswith(PROJECT_FILE)
    assert found.layer("model") == "CODER_MODEL"
    assert found.layer("timeout") == "flag"
    assert found.layer("image") == "default"


def test_openai_names_are_fallbacks(tmp_path: Path) -> None:
    both = {"CODER_BASE_URL": "http://a", "OPENAI_BASE_URL": "http://b", "OPENAI_API_KEY": "k"}
    found = configured(tmp_path, environ=both)
    assert (found.base_url, found.api_key) == ("http://a", "k")


@pytest.mark.parametrize(
    "key", [field.metadata["key"] for field in SETTINGS.values() if not field.metadata["project"]]
)
def test_a_project_file_may_not_set_what_could_hurt(tmp_path: Path, key: str) -> None:
    table, name = key.split(".")
    with pytest.raises(ConfigError, match=f"sets {key}, which a project file may not"):
        configured(tmp_path, project=f"[{table}]\n{name} = 'x'")


def test_unsafe_keys_are_what_we_think_they_are() -> None:
    unsafe = {field.metadata["key"] for field in SETTINGS.values() if not field.metadata["project"]}
    assert unsafe == {"model.base_url", "model.name", "model.api_key", "model.profile", "sandbox.kind"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nturn = 3", "limits.turn, which is no setting"),
        ("[limits]\nturns = 'many'", "limits.turns must be a whole number"),
        ("[limits]\nturns = true", "limits.turns must be a whole number"),
        ("[limits]\nturns = -1", "must not be negative"),
        ("[model]\nthinking = 'hard'", "must be off, low, full or a number"),
        ("[fix]\nstrategy = 'magic'", "must be one of auto, agent, repair"),
        ("[limits", "is not valid TOML"),
        ("x = '" + "y" * 70000 + "'", "is larger than"),
    ],
)
def test_a_broken_file_is_named_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(tmp_path, project=text)


def test_a_mistyped_key_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, user="[limits]\nturn = 3")
    assert caught.value.hint == "Did you mean limits.turns?"


def test_a_project_file_that_is_a_link_or_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / PROJECT_FILE).symlink_to("/etc/hostname")
    with pytest.raises(ConfigError, match="cannot be read"):
        load(project=tmp_path, flags={}, environ={}, user_file=tmp_path / "none.toml")
    (tmp_path / PROJECT_FILE).unlink()
    os.mkfifo(tmp_path / PROJECT_FILE)
    assert load(project=tmp_path, flags={}, environ={}, user_file=tmp_path / "none.toml").layers == {}


def test_missing_files_are_no_error(tmp_path: Path) -> None:
    found = load(project=tmp_path / "none", flags={}, environ={"HOME": str(tmp_path)})
    assert found == Config()
