"""The user's own Node, Rust, Go and Java in bubblewrap: what is found, what is shown, and what never is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.interpreters import Mount
from sandbox.toolchain import Toolchain, detect
from sandbox.toolchains import Found, find_all
from sandbox.workspace import Workspace
from tests.sandbox.repositories import write_files
from tests.sandboxes import SMALL, code_for_everybody, make_workspace, text

as_root = pytest.mark.skipif(os.getuid() != 0, reason="only root can become others")
LARGE = Policy(memory_mb=2048)
SECRET = "hunter2"

MANIFESTS = {
    "package.json": "{}",
    "Cargo.toml": '[package]\nname = "demo"\nversion = "0.1.0"\nedition = "2021"\n',
    "go.mod": "module demo\n",
    "pom.xml": "<project/>",
    ".gitignore": "node_modules\ntarget\n",
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home"
    path.mkdir()
    return path


def program(path: Path) -> Path:
    """A real program of no meaning."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy("/usr/bin/true", path)
    return path


def a_node(prefix: Path) -> Path:
    (prefix / "include/node").mkdir(parents=True)
    return program(prefix / "bin/node")


def look(home: Path, files: Mapping[str, str], **environ: str) -> Found:
    """What is found for a repository of one language with nothing but `environ` set."""
    repository = home / "project"
    write_files(repository, files)
    (found,) = find_all(repository, {"HOME": str(home), **environ})
    return found


def targets(found: Found) -> list[str]:
    return [str(mount.target) for mount in found.mounts]


@asynccontextmanager
async def shown(
    workspace: Workspace, toolchain: Toolchain, policy: Policy = SMALL
) -> AsyncIterator[Bubblewrap]:
    sandbox = Bubblewrap(workspace, policy, toolchain=toolchain)
    await sandbox.start()
    try:
        yield sandbox
    finally:
        await sandbox.close()
        workspace.close()


# What is found


def test_nothing_is_shown_to_a_repository_without_its_manifest(home: Path) -> None:
    a_node(home / ".nvm/versions/node/v20.1.0")
    write_files(home / "project", {"main.py": "", "a/b/package.json": "{}"})
    assert find_all(home / "project", {"HOME": str(home)}) == []


@pytest.mark.parametrize(
    ("files", "version"),
    [
        ({}, "v22.2.0"),
        ({".nvmrc": "v18\n"}, "v18.9.1"),
        ({".node-version": "18.9.0"}, "v18.9.0"),
        ({".tool-versions": "python 3\nnodejs 18.9.0\n"}, "v18.9.0"),
        ({"package.json": '{"volta": {"node": "18.9.0"}}'}, "v18.9.0"),
        ({".nvmrc": "../../../etc"}, "v22.2.0"),
        ({".nvmrc": "99"}, "v22.2.0"),
    ],
)
def test_the_version_of_node_that_the_repository_asks_for(
    files: Mapping[str, str], version: str, home: Path
) -> None:
    for name in ("v18.9.0", "v18.9.1", "v22.2.0", "v9.0.0"):
        a_node(home / ".nvm/versions/node" / name)
    found = look(home, {"package.json": "{}", **files})
    assert found.path == (f"{home}/.nvm/versions/node/{version}/bin",)


@pytest.mark.parametrize(
    "prefix", [".local/share/fnm/node-versions/v20.1.0/installation", ".volta/tools/image/node/20.1.0"]
)
def test_a_shim_is_seen_through(prefix: str, home: Path) -> None:
    a_node(home / prefix)
    shim = home / "shims" / "node"
    shim.parent.mkdir()
    shim.write_text("#!/bin/sh\n")
    shim.chmod(0o755)
    assert look(home, {"package.json": "{}"}, PATH=str(shim.parent)).path == (f"{home}/{prefix}/bin",)


def test_a_program_of_the_repository_is_not_taken(home: Path) -> None:
    a_node(home / "project")
    found = look(home, {"package.json": "{}"}, PATH=f"{home}/project/bin")
    assert (found.why, found.path) == ("no Node.js", ())


@pytest.mark.parametrize("where", ["", ".local", "tools"])
def test_a_directory_that_holds_more_is_not_shown_for_a_program_in_it(where: str, home: Path) -> None:
    program(home / where / "bin/node")
    found = look(home, {"package.json": "{}"}, PATH=str(home / where / "bin"))
    assert found.why.startswith("no Node.js (")
    assert found.mounts == ()


def test_node_modules_are_shown_where_they_lie_and_no_link_is_followed(home: Path) -> None:
    write_files(home / "project", {"packages/one/package.json": "{}", "packages/two/package.json": "{}"})
    (home / ".ssh").mkdir()
    for folder in ("node_modules", "packages/one/node_modules", "vendor/node_modules"):
        (home / "project" / folder).mkdir(parents=True)
    (home / "project/packages/two/node_modules").symlink_to(home / ".ssh")
    (home / "project/linked").symlink_to(home)
    found = look(home, {"package.json": "{}"})
    assert targets(found)[::2] == ["/workspace/node_modules", "/workspace/packages/one/node_modules"]
    assert {mount.writes for mount in found.mounts} == {"forgotten"}


def a_rust(home: Path, *names: str) -> None:
    for name in names:
        program(home / ".rustup/toolchains" / name / "bin/cargo")
    (home / ".rustup/settings.toml").write_text(f'default_toolchain = "{names[0]}"\n')


@pytest.mark.parametrize(
    ("files", "chosen"),
    [
        ({}, "stable-x86_64"),
        ({"rust-toolchain": "nightly\n"}, "nightly-x86_64"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "1.80"\n'}, "1.80.1-x86_64"),
        ({"rust-toolchain.toml": '[toolchain]\nchannel = "../../.ssh"\n'}, "stable-x86_64"),
        ({"rust-toolchain.toml": "[" * 9_000}, "stable-x86_64"),
    ],
)
def test_the_toolchain_that_rustup_would_choose(files: Mapping[str, str], chosen: str, home: Path) -> None:
    a_rust(home, "stable-x86_64", "nightly-x86_64", "1.80.1-x86_64")
    found = look(home, {"Cargo.toml": "", **files})
    assert found.path == (f"{home}/.rustup/toolchains/{chosen}/bin",)


def test_rustups_own_cargo_is_no_toolchain(home: Path) -> None:
    program(home / ".cargo/bin/cargo")
    found = look(home, {"Cargo.toml": ""}, PATH=f"{home}/.cargo/bin")
    assert found.why == "no Rust"
    assert f"{home}/.cargo" not in targets(found)


def test_go_and_its_caches_where_the_user_has_put_them(home: Path) -> None:
    program(home / "sdk/go1.24/bin/go")
    (home / "sdk/go1.24/src/runtime").mkdir(parents=True)
    (home / "modules").mkdir()
    (home / ".cache/go-build").mkdir(parents=True)
    write_files(home, {".config/go/env": f"GOMODCACHE={home}/modules\n"})
    found = look(home, {"go.mod": ""}, PATH=f"{home}/sdk/go1.24/bin")
    shown = {str(mount.target): (str(mount.source), mount.writes) for mount in found.mounts}
    assert shown["/home/coder/go/pkg/mod"] == (f"{home}/modules", "kept")
    assert shown["/home/coder/.cache/go-build"] == (f"{home}/.cache/go-build", "kept")
    assert found.path == (f"{home}/sdk/go1.24/bin",)
    assert found.env["GOPROXY"] == "off"


def test_the_sentence_names_every_language(home: Path) -> None:
    write_files(home / "project", {"package.json": "{}", "go.mod": ""})
    a_node(home / ".nvm/versions/node/v20.1.0")
    found = detect(home / "project", {"HOME": str(home)}, Path(sys.executable))
    assert f"Node.js from {home}/.nvm/versions/node/v20.1.0. " in found.why
    assert found.env["npm_config_offline"] == "true"


# What is never shown

SETTINGS = (
    ".cargo/credentials.toml", ".cargo/credentials", ".cargo/config.toml", ".m2/settings.xml",
    ".m2/settings-security.xml", ".npmrc", ".yarnrc.yml", ".gradle/gradle.properties", ".gradle/init.d/mirror.gradle",
    ".config/go/env", ".netrc", ".nvm/versions/node/v20.1.0/etc/npmrc", ".nvm/alias/default", ".volta/secret",
    "maven/conf/settings.xml", ".rustup/secret", ".docker/config.json",
)  # fmt: skip
CACHES = {
    ".cargo/registry": ".cargo/registry",
    ".cargo/git": ".cargo/git",
    "go/pkg/mod": "go/pkg/mod",
    ".cache/go-build": ".cache/go-build",
    ".m2/repository": ".m2/repository",
    ".gradle/caches": ".gradle/caches",
    ".gradle/wrapper": ".gradle/wrapper",
}


async def test_the_settings_of_the_tools_are_invisible_and_their_caches_are_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    workspace = make_workspace(tmp_path, MANIFESTS)
    a_node(home / ".nvm/versions/node/v20.1.0")
    a_rust(home, "stable-x86_64")
    (home / "jdk").mkdir()
    write_files(home, {"jdk/release": "", "maven/boot/x.jar": "", **{f"{c}/cached": "here" for c in CACHES}})
    program(home / "jdk/bin/java"), program(home / "maven/bin/mvn"), program(home / ".cargo/bin/cargo-extra")
    write_files(home, dict.fromkeys(SETTINGS, f"password = {SECRET}\n"))
    environ = {"HOME": str(home), "JAVA_HOME": f"{home}/jdk", "PATH": f"{home}/maven/bin"}
    toolchain = detect(workspace.source, environ, Path(sys.executable))
    async with shown(workspace, toolchain) as sandbox:
        search = f"grep -rIls {SECRET} / --exclude-dir=proc --exclude-dir=sys --exclude-dir=usr; type -P cargo-extra"
        assert text(await sandbox.run(search, timeout=60)) == f"{home}/.cargo/bin/cargo-extra"
        caches = " ".join(f"~/{inside}/cached" for inside in CACHES.values())
        assert text(await sandbox.run(f"cat {caches}", timeout=10)) == "here" * len(CACHES)
        settings = f"cat {home}/maven/conf/settings.xml"
        assert text(await sandbox.run(settings, timeout=10)) == "<settings/>"


@as_root
def test_a_cache_that_is_closed_to_others_is_not_promised(home: Path) -> None:
    write_files(home, {".m2/repository/x": ""})
    (home / ".m2/repository").chmod(0o750)
    assert "/home/coder/.m2/repository" not in targets(look(home, {"pom.xml": ""}))


# What is written to


async def test_writes_to_a_cache_last_until_the_reset_and_never_reach_the_user(tmp_path: Path) -> None:
    cache, modules = tmp_path / "cache", tmp_path / "modules"
    write_files(tmp_path, {"cache/ab/entry": "old\n", "modules/one/index.js": "1\n"})
    mounts = (
        Mount(cache, Path("/home/coder/.cache/build"), "kept"),
        Mount(modules, Path("/workspace/node_modules"), "forgotten"),
    )
    toolchain = Toolchain(python="/usr/bin/python3", mounts=mounts, why="")
    async with shown(make_workspace(tmp_path), toolchain) as sandbox:
        places = "~/.cache/build/ab/new node_modules/new"
        assert text(await sandbox.run(f"touch {places} && ls {places}", timeout=10)).count("new") == 2
        assert (
            text(await sandbox.run(f"ls {places}", timeout=10)).splitlines()[-1]
            == "/home/coder/.cache/build/ab/new"
        )
        await sandbox.reset()
        assert text(await sandbox.run("ls ~/.cache/build/ab node_modules", timeout=10)).count("new") == 0
        assert sandbox.workspace.changes() == []
    assert sorted(path.name for path in tmp_path.rglob("new")) == []


async def test_what_is_written_to_an_overlay_counts_as_disk(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    mount = Mount(tmp_path / "modules", Path("/workspace/node_modules"), "forgotten")
    toolchain = Toolchain(python="/usr/bin/python3", mounts=(mount,), why="")
    async with shown(make_workspace(tmp_path), toolchain) as sandbox:
        flood = "for i in 1 2 3 4 5 6; do head -c 30M /dev/zero >node_modules/$i; done; sleep 60"
        result = await sandbox.run(flood, timeout=50)
        assert result.killed == "disk"
        assert (await sandbox.run("test ! -e node_modules/1", timeout=10)).ok


async def test_without_overlays_the_same_is_read_only(tmp_path: Path) -> None:
    (tmp_path / "modules").mkdir()
    mount = Mount(tmp_path / "modules", Path("/workspace/node_modules"), "forgotten")
    # an overlay cannot be made of a file
    write_files(tmp_path, {"file": "text"})
    odd = Mount(tmp_path / "file", Path("/opt/file"), "forgotten")
    toolchain = Toolchain(python="/usr/bin/python3", mounts=(mount, odd), why="")
    async with shown(make_workspace(tmp_path), toolchain) as sandbox:
        assert text(await sandbox.run("cat /opt/file", timeout=10)) == "text"
        assert "Read-only" in text(await sandbox.run("touch node_modules/x", timeout=10))


async def test_packages_that_are_kept_in_git_are_the_workspaces_own(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {"package.json": "{}", "node_modules/mine/index.js": "tracked\n"})
    (workspace.source / "node_modules/other").mkdir()
    toolchain = detect(workspace.source, {"HOME": str(tmp_path)}, Path(sys.executable))
    async with shown(workspace, replace(toolchain, alias=None)) as sandbox:
        await sandbox.run("echo changed >node_modules/mine/index.js", timeout=10)
        assert [change.path for change in sandbox.workspace.changes()] == ["node_modules/mine/index.js"]


# The real programs


@pytest.mark.node
async def test_node_runs_a_test_with_the_packages_that_the_user_has_installed(tmp_path: Path) -> None:
    files = {**MANIFESTS, "test.js": "console.log(require('left'))\n"}
    workspace = make_workspace(tmp_path, files)
    write_files(workspace.source, {"node_modules/left/index.js": "module.exports = 'installed'\n"})
    toolchain = detect(workspace.source, os.environ, Path(sys.executable))
    async with shown(workspace, toolchain, LARGE) as sandbox:
        assert text(await sandbox.run("node test.js", timeout=60)) == "installed"
        assert workspace.changes() == []


@pytest.mark.cargo
async def test_cargo_builds_and_tests(tmp_path: Path) -> None:
    files = {**MANIFESTS, "src/lib.rs": "#[test]\nfn adds() { assert_eq!(1 + 1, 2) }\n"}
    workspace = make_workspace(tmp_path, files)
    toolchain = detect(workspace.source, os.environ, Path(sys.executable))
    async with shown(workspace, toolchain, LARGE) as sandbox:
        assert "1 passed" in text(await sandbox.run("cargo test --offline 2>&1", timeout=120))


async def test_a_package_with_a_library_in_c_is_found_in_the_repositorys_environment(tmp_path: Path) -> None:
    workspace = make_workspace(tmp_path, {"calc.py": "", ".gitignore": ".venv\n"})
    environment = workspace.source / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = next(environment.glob("lib/python3*/site-packages"))
    shutil.copytree(Path(msgspec.__file__).parent, site / "msgspec")
    toolchain = detect(workspace.source, {}, Path(sys.executable))
    async with shown(workspace, toolchain) as sandbox:
        script = f"{toolchain.python} -c 'import msgspec._core; print(msgspec._core.__file__)'"
        result = await sandbox.run(script, timeout=20)
        assert result.ok, text(result)


ORDINARY = """
import asyncio, os, sys
from pathlib import Path
from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.repository import Repository
from sandbox.toolchain import detect
from sandbox.workspace import Workspace

async def main():
    home = Path(sys.argv[1])
    os.environ["HOME"] = str(home)
    workspace = Workspace.create(home / "project", home / "state")
    toolchain = detect(home / "project", os.environ, Path("/usr/bin/python3"))
    sandbox = Bubblewrap(workspace, Policy(memory_mb=2048), toolchain=toolchain)
    await sandbox.start()
    for script in sys.argv[2:]:
        print((await sandbox.run(script, timeout=60)).text().strip())
    print(workspace.changes())
    await sandbox.close()
    workspace.close()
    print(sorted(path.name for path in home.iterdir()))

asyncio.run(main())
"""


@as_root
@pytest.mark.node
def test_an_ordinary_user_has_the_same() -> None:
    with code_for_everybody() as place:
        home = place / "home"
        write_files(
            home,
            {
                "project/package.json": "{}",
                "project/test.js": "console.log(require('left'))\n",
                "project/.gitignore": "node_modules\n",
                "project/node_modules/left/index.js": "module.exports = 'installed'\n",
            },
        )
        for path in (home, *home.rglob("*")):
            shutil.chown(path, 1234, 1234)
        scripts = [
            "node test.js",
            "echo changed >node_modules/left/index.js; mv node_modules/left node_modules/right; ls node_modules",
            "ls node_modules",
        ]
        done = subprocess.run(
            ["/usr/bin/python3", "-c", ORDINARY, str(home), *scripts],
            user=1234, group=1234, extra_groups=[], cwd=place, env={"PATH": os.environ["PATH"]},
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
    assert done.stderr == "", done.stderr
    assert done.stdout.splitlines() == ["installed", "right", "left", "[]", "['project', 'state']"]
