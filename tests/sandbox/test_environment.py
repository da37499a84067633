"""An environment that was set up, as the sandboxes show it: its directory, variables, programs and links."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox.base import WORKDIR, Sandbox
from sandbox.bubblewrap import Bubblewrap
from sandbox.docker import Docker
from sandbox.environments.recipe import PLACE, Environment
from sandbox.environments.shown import with_environment
from sandbox.errors import FileRefused
from sandbox.workspace import Workspace
from tests.conftest import IMAGE
from tests.sandboxes import BACKENDS, SMALL, make_workspace, own_python, text


def make_environment(directory: Path) -> Environment:
    """As a set-up leaves it: a directory of the sandbox's user with a program and a package."""
    program = directory / "tools" / "hello"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\necho "hello $WHO"\n')
    program.chmod(0o755)
    package = directory / "node_modules" / "left" / "index.js"
    package.parent.mkdir(parents=True)
    package.write_text("module.exports = 1\n")
    if os.getuid() == 0:
        for path in (directory, *directory.rglob("*")):
            os.chown(path, 1000, 1000)
    return Environment(
        key="k",
        why="made for the test",
        directory=directory,
        env={"WHO": "there"},
        path=(f"{PLACE}/tools",),
        links={"node_modules": f"{PLACE}/node_modules"},
    )


def make_sandbox(kind: str, workspace: Workspace, environment: Environment) -> Sandbox:
    if kind == "docker":
        return Docker(workspace, SMALL, image=IMAGE, environment=environment)
    return Bubblewrap(workspace, SMALL, toolchain=own_python(workspace), environment=environment)


async def test_bubblewrap_shows_the_directory_and_forgets_what_commands_write_there(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    sandbox = make_sandbox("bubblewrap", make_workspace(tmp_path), environment)
    await sandbox.start()
    try:
        assert text(await sandbox.run("hello", timeout=10)) == "hello there"
        assert text(await sandbox.run("cat node_modules/left/index.js", timeout=10)) == "module.exports = 1"
        poison = f"echo poison >{PLACE}/tools/hello; echo cache >node_modules/.cache; cat node_modules/.cache"
        assert text(await sandbox.run(poison, timeout=10)) == "cache"
        assert text(await sandbox.run("hello; cat node_modules/.cache", timeout=10)).startswith("hello there")
        assert "poison" not in (tmp_path / "environment/tools/hello").read_text()
        assert not (tmp_path / "environment/node_modules/.cache").exists()
    finally:
        await sandbox.close()


@pytest.mark.parametrize("kind", BACKENDS)
async def test_variables_and_programs_come_before_the_images_own(kind: str, tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    sandbox = make_sandbox(kind, make_workspace(tmp_path), environment)
    await sandbox.start()
    try:
        said = text(await sandbox.run('echo "$WHO $PATH"; type -P git python3', timeout=10))
        assert said.startswith(f"there {PLACE}/tools:/")
        assert len(said.splitlines()) == 3
        assert text(await sandbox.run("echo $WHO", timeout=10, env={"WHO": "mine"})) == "mine"
    finally:
        await sandbox.close()


async def test_the_python_that_an_environment_was_made_from_is_shown_with_it(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    venv = tmp_path / "environment/venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    sandbox = Bubblewrap(make_workspace(tmp_path), SMALL, environment=environment)
    await sandbox.start()
    try:
        said = await sandbox.run(f"{PLACE}/venv/bin/python -c 'import sys; print(sys.prefix)'", timeout=20)
        assert text(said) == f"{PLACE}/venv"
    finally:
        await sandbox.close()


def test_an_environment_cannot_have_anything_else_shown(tmp_path: Path) -> None:
    environment = make_environment(tmp_path / "environment")
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/python3").touch()
    venv = tmp_path / "environment/venv"
    venv.mkdir()
    (venv / "pyvenv.cfg").write_text(f"home = {tmp_path}/.ssh\n")
    shown = with_environment(None, environment)
    assert shown is not None
    assert [str(mount.target) for mount in shown.mounts] == [PLACE]


# Links in the workspace


@pytest.mark.parametrize("kind", BACKENDS)
async def test_links_are_no_part_of_any_patch_even_where_git_ignores_nothing(
    kind: str, tmp_path: Path
) -> None:
    workspace = make_workspace(tmp_path)
    sandbox = make_sandbox(kind, workspace, make_environment(tmp_path / "environment"))
    await sandbox.start()
    try:
        assert text(await sandbox.run("readlink node_modules", timeout=10)) == f"{PLACE}/node_modules"
        assert text(await sandbox.run("git status --short", timeout=10)) == ""
        assert workspace.changes() == []
        assert workspace.patch() == b""
        workspace.write("calc.py", b"changed\n")
        await sandbox.run("rm node_modules && mkdir node_modules && echo x >node_modules/x", timeout=10)
        assert [change.path for change in workspace.changes()] == ["calc.py"]
    finally:
        await sandbox.close()


async def test_links_survive_a_restore_and_come_back_in_a_fresh_copy(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    environment = make_environment(tmp_path / "environment")
    sandbox = make_sandbox("bubblewrap", workspace, environment)
    await sandbox.start()
    workspace.write("calc.py", b"changed\n")
    workspace.restore(workspace.base)
    assert (workspace.root / "node_modules").is_symlink()
    await sandbox.close()
    copy = workspace.fresh(tmp_path / "fresh")
    sandbox = make_sandbox("bubblewrap", copy, environment)
    await sandbox.start()
    try:
        assert text(await sandbox.run("ls node_modules", timeout=10)) == "left"
        assert copy.changes() == []
    finally:
        await sandbox.close()


def test_a_link_is_made_only_where_there_is_nothing(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {"node_modules/mine.js": "1\n"})
    workspace.make_links({"node_modules": "/elsewhere", "packages/one/node_modules": "/elsewhere"})
    assert (workspace.root / "node_modules/mine.js").is_file()
    assert (workspace.root / "packages/one/node_modules").is_symlink()
    workspace.write("node_modules/mine.js", b"2\n")
    assert [change.path for change in workspace.changes()] == ["node_modules/mine.js"]


@pytest.mark.parametrize("name", ["../out", "/etc/out", ".git/hooks", "a/../../out", "planted/out"])
def test_a_link_never_leads_the_host_out_of_the_workspace(name: str, tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (workspace.root / "planted").symlink_to(outside)
    with pytest.raises(FileRefused):
        workspace.make_links({name: "/elsewhere"})
    assert list(outside.iterdir()) == []


async def test_the_environments_link_comes_before_the_users_own_directory(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {"package.json": "{}", ".gitignore": "node_modules\n"})
    own = workspace.source / "node_modules" / "own"
    own.mkdir(parents=True)
    sandbox = make_sandbox("bubblewrap", workspace, make_environment(tmp_path / "environment"))
    await sandbox.start()
    try:
        assert text(await sandbox.run(f"ls {WORKDIR}/node_modules", timeout=10)) == "left"
    finally:
        await sandbox.close()
