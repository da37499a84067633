"""What of a devcontainer.json becomes a recipe, and by name everything that does not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.environments.devcontainer import Devcontainer, read
from sandbox.environments.recipe import Recipe


def written(root: Path, text: str, place: str = ".devcontainer/devcontainer.json") -> Devcontainer:
    (root / place).parent.mkdir(exist_ok=True)
    (root / place).write_text(text)
    found = read(root)
    assert found is not None
    return found


def recipe(found: Devcontainer) -> Recipe:
    assert found.recipe is not None
    return found.recipe


def test_without_one_there_is_nothing(tmp_path: Path) -> None:
    assert read(tmp_path) is None


def test_comments_and_trailing_commas_are_no_trouble_and_strings_keep_what_looks_like_them(
    tmp_path: Path,
) -> None:
    text = """// one
    {"image": "debian:12", /* two */
     "postCreateCommand": "echo \\"// no comment\\" ',}' /* nor this */",
     "containerEnv": {"URL": "http://x/,]",},}"""
    found = recipe(written(tmp_path, text))
    assert found.image == "debian:12"
    assert found.steps == ("echo \"// no comment\" ',}' /* nor this */",)
    assert found.env == {"URL": "http://x/,]"}


def test_commands_come_in_three_forms_and_in_their_order(tmp_path: Path) -> None:
    text = """{"image": "i", "postCreateCommand": {"a": "one two", "b": ["three", "fo ur"]},
        "onCreateCommand": ["zero", "$x"], "updateContentCommand": "half | way"}"""
    assert recipe(written(tmp_path, text)).steps == ("zero '$x'", "half | way", "one two", "three 'fo ur'")


@pytest.mark.parametrize(
    ("build", "place", "dockerfile", "context"),
    [
        ('"build": {"dockerfile": "Dockerfile"}', ".devcontainer/devcontainer.json", ".devcontainer/Dockerfile", ".devcontainer"),
        ('"build": {"dockerfile": "../Dockerfile", "context": ".."}', ".devcontainer/devcontainer.json", "Dockerfile", "."),
        ('"dockerFile": "docker/D", "context": "docker"', ".devcontainer.json", "docker/D", "docker"),
    ],
)  # fmt: skip
def test_a_dockerfile_is_found_from_where_the_file_lies(
    tmp_path: Path, build: str, place: str, dockerfile: str, context: str
) -> None:
    found = recipe(written(tmp_path, f"{{{build}}}", place))
    assert (found.dockerfile, found.context) == (dockerfile, context)
    assert set(found.inputs) == {place, dockerfile}


def test_arguments_and_target_of_a_build(tmp_path: Path) -> None:
    text = '{"build": {"dockerfile": "D", "args": {"A": "1", "B": "${localEnv:HOME}"}, "target": "dev"}}'
    found = written(tmp_path, text)
    assert (recipe(found).build_args, recipe(found).target) == ({"A": "1"}, "dev")
    assert "build.args.B" in found.ignored[0]


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "..", "a/../../../x"])
def test_a_dockerfile_outside_of_the_repository_is_named_and_not_used(tmp_path: Path, path: str) -> None:
    found = written(tmp_path, f'{{"build": {{"dockerfile": "{path}"}}}}')
    assert found.recipe is None or not found.recipe.dockerfile.startswith(("..", "/"))
    assert any("outside of the repository" in line for line in found.ignored) or path == ".."


@pytest.mark.parametrize(
    "setting",
    [
        '"features": {"ghcr.io/devcontainers/features/node:1": {}}',
        '"mounts": ["source=/var/run/docker.sock,target=/var/run/docker.sock,type=bind"]',
        '"runArgs": ["--privileged"]',
        '"privileged": true',
        '"capAdd": ["SYS_ADMIN"]',
        '"securityOpt": ["seccomp=unconfined"]',
        '"initializeCommand": "touch /tmp/owned"',
        '"dockerComposeFile": "compose.yml"',
        '"workspaceMount": "source=/,target=/host,type=bind"',
        '"remoteUser": "root"',
        '"secrets": {"TOKEN": {}}',
        '"somethingNew": {"x": 1}',
    ],
)
def test_what_is_not_honoured_is_named(tmp_path: Path, setting: str) -> None:
    found = written(tmp_path, f'{{"image": "i", {setting}}}')
    assert recipe(found) == Recipe(
        source=".devcontainer/devcontainer.json", image="i", inputs=(".devcontainer/devcontainer.json",)
    )
    name = setting.split('"')[1]
    assert [line for line in found.ignored if line.startswith(f"{name}: ")]


def test_an_editors_settings_and_ports_are_passed_over_in_silence(tmp_path: Path) -> None:
    text = '{"image": "i", "name": "n", "customizations": {"vscode": {}}, "forwardPorts": [80], "privileged": false}'
    assert written(tmp_path, text).ignored == ()


def test_variables_of_the_user_are_never_put_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hidden")
    text = """{"image": "i", "containerEnv": {"A": "${localEnv:SECRET}", "B": "${containerWorkspaceFolder}/b",
        "C": "${env:SECRET}", "PATH": "/evil", "bad name": "x", "D": 3}, "remoteEnv": {"E": "plain"}}"""
    found = written(tmp_path, text)
    assert recipe(found).env == {"B": "/workspace/b", "E": "plain"}
    assert {line.split(":")[0] for line in found.ignored} == {
        "containerEnv.A", "containerEnv.C", "containerEnv.PATH", "containerEnv.bad name", "containerEnv.D"
    }  # fmt: skip


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '"x"', "[" * 100_000, '{"image": 3}', '{"image": "i\\u0000"}', "{}", "\x00" * 100]
)
def test_what_cannot_be_used_says_so_and_never_raises(tmp_path: Path, text: str) -> None:
    found = written(tmp_path, text)
    assert found.recipe is None
    assert found.ignored or text == "{}"


def test_a_link_out_of_the_repository_a_pipe_and_a_giant_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"image": "secret"}')
    repository = tmp_path / "repository"
    repository.mkdir()
    place = repository / ".devcontainer.json"
    place.symlink_to(tmp_path / "secret.json")
    assert read(repository) == Devcontainer(recipe=None, ignored=read(repository).ignored)  # type: ignore[union-attr]
    place.unlink()
    os.mkfifo(place)
    assert read(repository).recipe is None  # type: ignore[union-attr]
    place.unlink()
    place.write_text(f'{{"image": "{"x" * 300_000}"}}')
    assert read(repository).recipe is None  # type: ignore[union-attr]
