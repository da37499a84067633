"""Which engine is used when nobody says: the environment, the docker context, then the usual sockets."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from sandbox import addresses
from sandbox.addresses import DEFAULT_HOST, address, sockets
from sandbox.errors import SandboxUnavailable


@pytest.fixture
def listeners() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def listen(held: ExitStack, path: Path, *, answering: bool = True) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    listener = held.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(path))
    if answering:
        listener.listen()
    return f"unix://{path}"


def context(home: Path, name: str, host: str) -> dict[str, str]:
    """A home directory whose docker context `name` is in use."""
    folder = home / ".docker" / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
    folder.mkdir(parents=True)
    (folder / "meta.json").write_text(json.dumps({"Name": name, "Endpoints": {"docker": {"Host": host}}}))
    (home / ".docker" / "config.json").write_text(json.dumps({"currentContext": name}))
    return {"HOME": str(home)}


def test_what_is_named_comes_first(tmp_path: Path) -> None:
    environ = {**context(tmp_path, "rootless", "unix:///context.sock"), "DOCKER_HOST": "unix:///named.sock"}
    assert address("unix:///argument.sock", environ) == "unix:///argument.sock"
    assert address(None, environ) == "unix:///named.sock"
    del environ["DOCKER_HOST"]
    assert address(None, environ) == "unix:///context.sock"


def test_the_context_can_be_named_in_the_environment(tmp_path: Path) -> None:
    environ = context(tmp_path, "rootless", "unix:///context.sock")
    (tmp_path / ".docker" / "config.json").write_text("{}")
    assert address(None, {**environ, "DOCKER_CONTEXT": "rootless"}) == "unix:///context.sock"


def test_a_remote_context_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match=r"ssh://far\.example is remote"):
        address(None, context(tmp_path, "far", "ssh://far.example"))


def test_a_context_that_is_not_there_is_no_reason_for_another_engine(tmp_path: Path) -> None:
    with pytest.raises(SandboxUnavailable, match="the docker context 'lost' names no engine"):
        address(None, {"HOME": str(tmp_path), "DOCKER_CONTEXT": "lost"})


@pytest.mark.parametrize("text", ["", "[]", "{", '{"currentContext": 7}', '{"currentContext": "default"}'])
def test_settings_that_say_nothing_are_none(
    tmp_path: Path, text: str, listeners: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(text)
    monkeypatch.setattr(addresses, "DEFAULT_HOST", listen(listeners, tmp_path / "docker.sock"))
    assert address(None, {"HOME": str(tmp_path)}) == f"unix://{tmp_path}/docker.sock"


def test_the_usual_sockets_in_their_order(
    tmp_path: Path, listeners: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    monkeypatch.setattr(addresses, "DEFAULT_HOST", f"unix://{tmp_path}/docker.sock")
    podman = listen(listeners, tmp_path / "run" / "podman" / "podman.sock")
    assert address(None, environ) == podman
    rootless = listen(listeners, tmp_path / "run" / "docker.sock")
    assert address(None, environ) == rootless
    listen(listeners, tmp_path / "docker.sock", answering=False)
    assert address(None, environ) == rootless, "a socket left behind by an engine that has stopped"


def test_of_sockets_that_do_not_answer_one_that_is_there_is_spoken_of(
    tmp_path: Path, listeners: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "DEFAULT_HOST", f"unix://{tmp_path}/docker.sock")
    stopped = listen(listeners, tmp_path / "run" / "docker.sock", answering=False)
    environ = {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path / "run")}
    assert address(None, environ) == stopped


def test_a_relative_runtime_directory_is_ignored() -> None:
    assert list(sockets({"XDG_RUNTIME_DIR": "run"})) == [DEFAULT_HOST, "unix:///run/podman/podman.sock"]
