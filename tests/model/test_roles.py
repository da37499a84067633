"""Roles: whose server, whose model, how much thought at which step, and what must not be mixed."""

import asyncio
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from coder.config import Config, load
from coder.errors import ConfigError
from coder.model.client import ModelClient
from coder.model.profile import load_profile
from coder.model.roles import Connected, Levels, connect_role, levels_for, server_for
from coder.model.thinking import Thinking
from tests.model.support import ASK
from tests.scripted_server import ScriptedServer, Turn

SUPER = load_profile("nemotron-3-super")
TWO_SERVERS = """
[model]
base_url = "http://table/v1"
name = "table-model"
api_key = "table-key"
profile = "generic"
[endpoints.big]
base_url = "http://big/v1"
model = "big-model"
api_key = "big-key"
profile = "qwen3"
[endpoints.plain]
base_url = "http://plain/v1"
[roles.engineer]
endpoint = "big"
"""


@pytest.fixture(autouse=True)
def _no_profiles_of_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def configured(tmp_path: Path, user: str, environ: dict[str, str] | None = None, **flags: Any) -> Config:
    (tmp_path / "config.toml").write_text(user)
    return load(project=None, flags=flags, environ=environ or {}, user_file=tmp_path / "config.toml")


def modes(levels: Levels) -> tuple[str | int, str | int]:
    return levels.diagnosis.mode, levels.routine.mode


# -- levels ----------------------------------------------------------------------------------------------------------


def test_a_failure_is_thought_about_as_the_diagnosis_is() -> None:
    levels = Levels(Thinking("full"), Thinking(2048))
    assert [levels.at(step).mode for step in ("diagnosis", "failure", "routine")] == ["full", "full", 2048]
    with pytest.raises(ValueError, match="no step"):
        levels.at("lunch")


def test_levels_are_told_in_one_word_where_one_holds_for_all_steps() -> None:
    assert str(Levels(Thinking("full"), Thinking("full"))) == "full"
    levels = Levels(Thinking("full"), Thinking(2048))
    assert str(levels) == "full, 2048 at routine steps"
    assert levels.as_dict() == {"diagnosis": "full", "routine": "2048"}


ROLE = "[roles.engineer]\n"


@pytest.mark.parametrize(
    ("user", "flags", "settled"),
    [
        ("", {}, ("full", 4096)),  # the profile
        ("[model]\nthinking = 4096", {}, (4096, 4096)),
        ("[model]\nroutine = 512", {}, ("full", 512)),
        ("[model]\nthinking = 4096\nroutine = 'off'", {}, (4096, "off")),
        (f"[model]\nthinking = 4096\n{ROLE}routine = '512'", {}, (4096, 512)),
        (f"[model]\nthinking = 4096\n{ROLE}thinking = 'full'", {}, ("full", "full")),
        (f"[model]\nroutine = 512\n{ROLE}thinking = 'off'", {}, ("off", "off")),  # alone: for all steps
        (f"{ROLE}thinking = 'full'\nroutine = 512", {"thinking": "low"}, ("low", "low")),
        ("[model]\nthinking = 'full'\nroutine = 512", {"thinking": "off"}, ("off", "off")),
        (f"{ROLE}thinking = 'full'", {"thinking": "full", "routine": "256"}, ("full", 256)),
        (f"{ROLE}thinking = 'full'", {"routine": "256"}, ("full", 256)),
        ("[model]\nthinking = 0", {}, ("off", "off")),
    ],
)
def test_the_strongest_layer_settles_the_levels(
    tmp_path: Path, user: str, flags: dict[str, Any], settled: tuple[str | int, str | int]
) -> None:
    config = configured(tmp_path, user, **flags)
    assert modes(levels_for(config, "engineer", SUPER)) == settled


def test_a_flag_is_the_engineers_where_the_reviewer_has_a_level_of_its_own(tmp_path: Path) -> None:
    user = "[roles.reviewer]\nthinking = 'off'"
    config = configured(tmp_path, user, thinking="4096")
    assert modes(levels_for(config, "engineer", SUPER)) == (4096, 4096)
    assert modes(levels_for(config, "reviewer", SUPER)) == ("off", "off")
    alone = configured(tmp_path, "[model]\nroutine = 512", thinking="4096")
    assert modes(levels_for(alone, "reviewer", SUPER)) == (4096, 4096)


def test_a_profile_brings_its_own_routine_level_until_somebody_says_how_much_to_think(tmp_path: Path) -> None:
    folder = tmp_path / "coder/profiles"
    folder.mkdir(parents=True)
    (folder / "thrifty.toml").write_text('base = "nemotron-3-super"\n[thinking]\nroutine = 1024\n')
    thrifty = load_profile("thrifty")
    assert modes(levels_for(Config(), "engineer", thrifty)) == ("full", 1024)
    assert modes(levels_for(configured(tmp_path, "", thinking="off"), "engineer", thrifty)) == ("off", "off")


def test_a_model_that_cannot_think_is_off_at_every_step(tmp_path: Path) -> None:
    config = configured(tmp_path, "[model]\nthinking = 'low'\nroutine = 'full'")
    assert modes(levels_for(config, "engineer", load_profile("devstral"))) == ("off", "off")


@pytest.mark.parametrize(
    ("profile", "thinking", "routine", "refused"),
    [
        ("nemotron-3-super", "full", "low", "low"),
        ("nemotron-3-super", "low", "off", "low"),
        ("nemotron-3-super", "low", "low", ""),
        ("nemotron-3-super", "full", "off", ""),
        ("nemotron-3-super", "full", "512", ""),
        ("nemotron-3-nano", "full", "low", ""),  # its template does not know low effort
        ("gpt-oss", "full", "low", "low"),
        ("gpt-oss", "full", "off", "off"),
        ("gpt-oss", "full", "512", ""),
        ("qwen3", "full", "off", ""),
        ("qwen3.5", "full", "low", "low"),
    ],
)
def test_levels_that_rewrite_the_prompt_do_not_alternate_within_a_run(
    profile: str, thinking: str, routine: str, refused: str
) -> None:
    config = Config(thinking=thinking, routine=routine)
    if not refused:
        expected = (Thinking.parse(thinking).mode, Thinking.parse(routine).mode)
        assert modes(levels_for(config, "engineer", load_profile(profile))) == expected
        return
    with pytest.raises(ConfigError, match=f"the level {refused} rewrites the prompt") as caught:
        levels_for(config, "engineer", load_profile(profile))
    assert f"use {refused} for both" in caught.value.hint


# -- servers ---------------------------------------------------------------------------------------------------------


def server(config: Config, role: str) -> tuple[str, str, str, str]:
    _, found = server_for(config, role)
    return found.base_url, found.model, found.api_key, found.profile


def test_a_role_without_an_endpoint_uses_the_model_table(tmp_path: Path) -> None:
    config = configured(tmp_path, TWO_SERVERS)
    assert server(config, "engineer") == ("http://big/v1", "big-model", "big-key", "qwen3")
    assert server(config, "reviewer") == ("http://table/v1", "table-model", "table-key", "generic")
    assert server(Config(), "reviewer") == ("", "", "", "")


def test_an_endpoint_never_gets_the_key_of_another_server(tmp_path: Path) -> None:
    user = TWO_SERVERS.replace('endpoint = "big"', 'endpoint = "plain"')
    config = configured(tmp_path, user, {"CODER_API_KEY": "secret", "OPENAI_API_KEY": "secret"})
    assert server(config, "engineer") == ("http://plain/v1", "", "", "")


def test_a_profile_that_was_named_beside_a_model_is_not_for_another(tmp_path: Path) -> None:
    config = configured(tmp_path, TWO_SERVERS + 'model = "other"\n[roles.reviewer]\nmodel = "small"')
    assert server(config, "engineer") == ("http://big/v1", "other", "big-key", "")
    assert server(config, "reviewer") == ("http://table/v1", "small", "table-key", "")


def test_flags_and_variables_overrule_the_engineers_role_and_no_other(tmp_path: Path) -> None:
    user = TWO_SERVERS + '[roles.reviewer]\nendpoint = "plain"'
    named = configured(tmp_path, user, base_url="http://flag/v1")
    assert server(named, "engineer")[0] == "http://flag/v1"
    assert server(named, "reviewer")[0] == "http://plain/v1"
    by_variable = configured(tmp_path, user, {"OPENAI_BASE_URL": "http://variable/v1"})
    assert server(by_variable, "engineer")[0] == "http://variable/v1"
    model = configured(tmp_path, user, model="flagged", profile="gpt-oss")
    assert server(model, "engineer") == ("http://big/v1", "flagged", "big-key", "gpt-oss")
    assert server(model, "reviewer") == ("http://plain/v1", "", "", "")


# -- over HTTP -------------------------------------------------------------------------------------------------------


async def _ask(connected: Connected, step: str) -> None:
    client = ModelClient(connected.endpoint, connected.profile)
    try:
        await client.stream(ASK, thinking=connected.levels.at(step))
    finally:
        await client.close()


async def test_engineer_and_reviewer_work_with_two_servers_models_and_budgets(tmp_path: Path) -> None:
    answers = [Turn(text="yes")] * 2
    with (
        ScriptedServer(answers, model="nvidia/Nemotron-3-Super-120B", api_key="k") as big,
        ScriptedServer(answers, model="Qwen/Qwen3-32B", kind="llama.cpp") as small,
    ):
        user = f"""
            [endpoints.big]
            base_url = "{big.base_url}"
            api_key = "k"
            [endpoints.small]
            base_url = "{small.base_url}"
            [roles.engineer]
            endpoint = "big"
            thinking = "full"
            routine = "2048"
            [roles.reviewer]
            endpoint = "small"
            thinking = "off"
        """
        config = configured(tmp_path, user)
        engineer, reviewer = await asyncio.gather(
            connect_role(config, "engineer"), connect_role(config, "reviewer")
        )
        await _ask(engineer, "diagnosis")
        await _ask(engineer, "routine")
        await _ask(reviewer, "routine")
    assert (engineer.profile.name, reviewer.profile.name) == ("nemotron-3-super", "qwen3")
    diagnosis, routine = (recorded.body for recorded in big.requests)
    assert "thinking_token_budget" not in diagnosis
    assert routine["thinking_token_budget"] == 2048
    assert routine["chat_template_kwargs"] == diagnosis["chat_template_kwargs"]
    [review] = (recorded.body for recorded in small.requests)
    assert (review["model"], review["temperature"]) == ("Qwen/Qwen3-32B", 0.6)
    assert review["chat_template_kwargs"] == {"enable_thinking": False}
    assert big.requests[0].headers["authorization"] == "Bearer k"
    assert small.requests[0].headers.get("authorization") != "Bearer k"


async def test_a_wrong_endpoint_is_named_with_file_and_key(tmp_path: Path) -> None:
    user = '[endpoints.big]\nbase_url = "ftp://big"\n[roles.engineer]\nendpoint = "big"'
    with pytest.raises(ConfigError, match=r"config\.toml: endpoints\.big: 'ftp://big' is not the URL"):
        await connect_role(configured(tmp_path, user), "engineer")


async def test_levels_that_do_not_fit_the_model_are_refused_once_it_is_known(tmp_path: Path) -> None:
    with ScriptedServer([], model="openai/gpt-oss-20b") as only:
        config = configured(tmp_path, "[model]\nthinking = 'full'\nroutine = 'low'", base_url=only.base_url)
        with pytest.raises(ConfigError, match="gpt-oss the level low rewrites the prompt"):
            await connect_role(config, "engineer")


class _LoadsOnce(BaseHTTPRequestHandler):
    """Still loading at the first question, a small model at the next."""

    asked = 0

    def do_GET(self) -> None:
        type(self).asked += 1
        body = json.dumps({"data": [{"id": "tiny", "owned_by": "someone"}]}).encode()
        self.send_response(503 if self.asked == 1 else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Silence."""


async def test_whoever_waits_hears_that_the_server_is_still_loading(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coder.model.endpoint.LOADING_PAUSE", 0.01)
    heard = []

    async def on_wait(words: str) -> None:
        heard.append(words)

    with ThreadingHTTPServer(("127.0.0.1", 0), _LoadsOnce) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        config = Config(base_url=f"http://127.0.0.1:{server.server_port}/v1", thinking="full")
        connected = await connect_role(config, "engineer", on_wait=on_wait)
        server.shutdown()
    assert len(heard) == 1
    assert "still loading" in heard[0]
    assert (connected.profile.name, connected.levels.as_dict()) == (
        "small-coder",
        {"diagnosis": "off", "routine": "off"},
    )
