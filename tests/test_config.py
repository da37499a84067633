"""Layers, and what a hostile repository may not set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from coder.config import (
    PROJECT_FILE,
    SETTINGS,
    Config,
    EndpointSettings,
    EnvironmentSettings,
    RoleSettings,
    load,
)
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
    assert unsafe == {
        "model.base_url",
        "model.name",
        "model.api_key",
        "model.profile",
        "sandbox.kind",
        "sandbox.allow_hosts",
        "sandbox.runtime",
        "gates.runs_later",
        "review.reviewer",
        "review.samples",
        "window.theme",
        "window.mouse",
        "window.scrollback",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nturn = 3", "limits.turn, which is no setting"),
        ("[limits]\nturns = 'many'", "limits.turns must be a whole number"),
        ("[limits]\nturns = true", "limits.turns must be a whole number"),
        ("[fix]\ncandidates = 1000", "fix.candidates must be one of 1, 2"),
        ("[limits]\nturns = -1", "must not be negative"),
        ("[model]\nthinking = 'hard'", "must be off, low, full or a number"),
        ("[model]\nroutine = 'hard'", "model.routine must be off, low, full or a number"),
        ("[model]\nroutine = '²'", "model.routine must be off, low, full or a number"),
        ("[model]\nthinking = true", "model.thinking must be text"),
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


def test_allowed_hosts_come_from_the_users_file_or_from_flags_that_replace_them(tmp_path: Path) -> None:
    user = "[sandbox]\nallow_hosts = ['Example.org', '*.corp.test:8443']"
    assert configured(tmp_path, user=user).allow_hosts == ("example.org", "*.corp.test:8443")
    assert configured(tmp_path, user=user, allow_hosts=()).allow_hosts[0] == "example.org"
    assert configured(tmp_path, user=user, allow_hosts=("a.test",)).allow_hosts == ("a.test",)
    assert configured(tmp_path).allow_hosts == ()


@pytest.mark.parametrize("value", ["'example.org'", "[1]", "['*']", "['https://example.org']", "true"])
def test_allowed_hosts_that_cannot_be_read_are_an_error(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError, match=r"sandbox\.allow_hosts"):
        configured(tmp_path, user=f"[sandbox]\nallow_hosts = {value}")


def test_missing_files_are_no_error(tmp_path: Path) -> None:
    found = load(project=tmp_path / "none", flags={}, environ={"HOME": str(tmp_path)})
    assert found == Config()


# -- endpoints and roles ---------------------------------------------------------------------------------------------

SERVERS = """
[model]
thinking = 4096
[endpoints.big]
base_url = "http://big/v1"
model = "m"
api_key = "hidden"
profile = "qwen3"
[endpoints.small]
base_url = "http://small/v1"
[roles.engineer]
endpoint = "big"
thinking = "full"
routine = 2048
[roles.reviewer]
endpoint = "small"
model = "other"
thinking = "off"
"""


def test_the_users_file_names_servers_and_gives_them_to_roles(tmp_path: Path) -> None:
    found = configured(tmp_path, user=SERVERS)
    assert found.endpoints == {
        "big": EndpointSettings(base_url="http://big/v1", model="m", api_key="hidden", profile="qwen3"),
        "small": EndpointSettings(base_url="http://small/v1"),
    }
    assert found.roles == {
        "engineer": RoleSettings(endpoint="big", thinking="full", routine="2048"),
        "reviewer": RoleSettings(endpoint="small", model="other", thinking="off"),
    }
    assert (found.thinking, found.layer("endpoints")) == ("4096", str(tmp_path / "user.toml"))
    assert "hidden" not in repr(found.endpoints)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[endpoints.evil]\nbase_url = 'http://evil/v1'", "endpoints.evil.base_url"),
        ("[roles.engineer]\nendpoint = 'evil'", "roles.engineer.endpoint"),
        ("[roles.engineer]\nthinking = 'full'", "roles.engineer.thinking"),
        ("endpoints = 3", "endpoints"),
    ],
)
def test_a_project_file_names_no_server_and_no_role(tmp_path: Path, text: str, key: str) -> None:
    with pytest.raises(ConfigError, match=f"sets {key}, which a project file may not"):
        configured(tmp_path, user=SERVERS, project=text)


def test_a_project_file_may_say_how_much_to_think(tmp_path: Path) -> None:
    found = configured(tmp_path, project="[model]\nthinking = 'full'\nroutine = 512")
    assert (found.thinking, found.routine) == ("full", "512")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[endpoints.big]\nmodel = 'm'", "endpoints.big.base_url is missing"),
        ("[endpoints.big]\nbase_url = ''", "endpoints.big.base_url is missing"),
        ("[endpoints.big]\nbase_url = 8000", "endpoints.big.base_url must be text, not 8000"),
        ("[endpoints.big]\nbase_url = 'u'\nkey = 'k'", "sets endpoints.big.key, which is no setting"),
        ("[endpoints]\nbig = 'http://big'", "endpoints.big must be a table"),
        ("endpoints = 'http://big'", "endpoints must be a table of tables"),
        ("[roles.engineer]\nthinking = 'hard'", "roles.engineer.thinking must be off, low, full or a number"),
        ("[roles.engineer]\nroutine = -1", "roles.engineer.routine must be off, low, full or a number"),
        ("[roles.engineer]\nroutine = true", "roles.engineer.routine must be text, not True"),
        ("[roles.enginer]\nthinking = 'off'", "there is no role enginer"),
        ("[roles]\nengineer = 'big'", "roles.engineer must be a table"),
        ("[roles.engineer]\nendpoint = 'big'", "roles.engineer.endpoint: there is no endpoint 'big'"),
    ],
)
def test_a_wrong_server_or_role_is_named_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        configured(tmp_path, user=text)
    assert "user.toml" in str(caught.value)


def test_an_unknown_endpoint_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, user=SERVERS.replace('endpoint = "big"', 'endpoint = "huge"'))
    assert caught.value.hint == "Known are big, small."


def test_what_a_flag_or_a_variable_says_is_for_this_run(tmp_path: Path) -> None:
    user = "[model]\nbase_url = 'http://u'\nname = 'm'\nthinking = 'full'"
    found = configured(tmp_path, user=user, environ={"OPENAI_BASE_URL": "http://v"}, thinking="off")
    assert [found.for_this_run(name) for name in ("base_url", "thinking", "model", "profile")] == [
        True,
        True,
        False,
        False,
    ]


# -- how a project is set up -----------------------------------------------------------------------------------------


def test_the_project_says_how_it_is_set_up_and_the_user_what_is_passed(tmp_path: Path) -> None:
    project = """[environment]
image = "debian:12"
setup = ["a", "b"]
inputs = ["x.lock"]
env = { A = "1" }
path = ["/opt/coder/env/bin"]
"""
    found = configured(tmp_path, project=project, user="[environment]\npass = ['PIP_INDEX_URL']")
    assert found.environment == EnvironmentSettings(
        image="debian:12", setup=("a", "b"), inputs=("x.lock",), env={"A": "1"}, path=("/opt/coder/env/bin",)
    )
    assert found.passed == ("PIP_INDEX_URL",)
    assert configured(tmp_path).environment is None


@pytest.mark.parametrize(
    ("user", "project", "message"),
    [
        ("", "[environment]\npass = ['AWS_SECRET']", "sets environment.pass, which a project file may not"),
        ("", "[environment]\nrun = 'x'", "sets environment.run, which is no setting"),
        ("", "environment = 3", "environment must be a table"),
        ("", "[environment]\nsetup = 'x'", "environment.setup must be a list of texts"),
        ("", "[environment]\nsetup = [1]", "environment.setup must be a list of texts"),
        ("", '[environment]\nsetup = ["a\\u0000"]', "environment.setup must be a list of texts"),
        ("", "[environment]\nimage = 3", "environment.image must be text"),
        ("", "[environment]\nenv = { A = 1 }", "environment.env must be a table of texts"),
        ("", "[environment]\nenv = { 'A=B' = 'x' }", "is no usable variable"),
        ("[environment]\npass = ['PIP_*']", "", "'PIP_\\*' is no variable's name"),
        ("[environment]\npass = 'X'", "", "must be a list of texts"),
        ("[environment]\nsetup = ['x']", "", "holds `pass` alone"),
    ],
)
def test_a_wrong_set_up_is_named_with_file_and_key(
    tmp_path: Path, user: str, project: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        configured(tmp_path, user=user, project=project)


def test_keys_are_the_users_alone(tmp_path: Path) -> None:
    found = configured(tmp_path, user="[keys]\npalette = 'f2'\nmouse = ['f6', 'f7']\nundo = []")
    assert found.keys == {"palette": ("f2",), "mouse": ("f6", "f7"), "undo": ()}
    with pytest.raises(ConfigError, match="palette must be a key or a list of keys"):
        configured(tmp_path, user="[keys]\npalette = 2")
    with pytest.raises(ConfigError, match="which a project file may not"):
        configured(tmp_path, project="[keys]\npalette = 'f2'")
