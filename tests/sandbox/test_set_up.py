"""A recipe is carried out whole or not at all, in a sandbox, whatever its steps try; on both backends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.base import Policy, Sandbox
from sandbox.choose import open_sandbox
from sandbox.environments.job import Job, SetupFailed
from sandbox.environments.prepare import cached, set_up
from sandbox.environments.recipe import Recipe
from sandbox.environments.store import Kept, Store
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.workspace import Workspace
from tests.conftest import IMAGE
from tests.sandboxes import BACKENDS, code_for_everybody, make_workspace, sleepers, text

ROOT = Path(__file__).resolve().parents[2]
FILES = {"hello.txt": "hello\n", ".gitignore": "ignored\n"}


@dataclass
class Project:
    """A repository, its copies, and what a set-up of it said."""

    directory: Path
    backend: str
    workspace: Workspace
    said: list[str] = field(default_factory=list)

    @property
    def store(self) -> Store:
        return Store(self.directory / "store")

    def job(self, *steps: str, **changes: Any) -> Job:
        own = {
            name: changes.pop(name)
            for name in ("timeout", "passed", "directory_mb", "environ")
            if name in changes
        }
        recipe = Recipe(source="a test", steps=steps, **changes)
        job = Job(
            recipe=recipe,
            workspace=self.workspace,
            project=self.workspace.source,
            backend=self.backend,
            store=self.store,
            log=self.directory / "log",
            say=self.said.append,
            environ={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
            image=IMAGE,
        )
        return replace(job, **own)

    @asynccontextmanager
    async def later(self, kept: Kept, place: str = "later") -> AsyncIterator[Sandbox]:
        """A sandbox of a run, on a new copy."""
        fresh = self.workspace.fresh(self.directory / place)
        sandbox, _ = await open_sandbox(
            self.backend, fresh, Policy(), image=kept.image or None, toolchain=kept.toolchain(),
            environment=self.store.environment(kept),
        )  # fmt: skip
        try:
            yield sandbox
        finally:
            await sandbox.close()
            fresh.close()

    def leftovers(self) -> list[str]:
        folder = self.store.folder
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


@pytest.fixture(params=BACKENDS)
def project(tmp_path: Path, request: pytest.FixtureRequest) -> Project:
    return Project(tmp_path, request.param, make_workspace(tmp_path, FILES))


@pytest.fixture
def on_bubblewrap(tmp_path: Path) -> Project:
    return Project(tmp_path, "bubblewrap", make_workspace(tmp_path, FILES))


@pytest.fixture
def on_docker(tmp_path: Path) -> Project:
    return Project(tmp_path, "docker", make_workspace(tmp_path, FILES))


async def said(sandbox: Sandbox, script: str) -> str:
    return text(await sandbox.run(script, timeout=30))


async def failure(job: Job) -> SetupFailed:
    with pytest.raises(SetupFailed) as caught:
        await set_up(job)
    return caught.value


# -- what is kept ----------------------------------------------------------------------------------------------------


async def test_what_the_steps_put_in_its_place_is_there_for_every_later_sandbox(project: Project) -> None:
    job = project.job(
        "cat hello.txt > $CODER_ENV/made", 'mkdir $CODER_ENV/bin; printf "#!/bin/sh\\necho tool" > $CODER_ENV/bin/tool; chmod +x $CODER_ENV/bin/tool',
        env={"COLOUR": "blue"}, path=("/opt/coder/env/bin",),
    )  # fmt: skip
    kept = await set_up(job)
    assert project.leftovers() == [kept.key]
    assert kept.size > 0
    async with project.later(kept) as sandbox:
        assert await said(sandbox, "cat /opt/coder/env/made; tool; echo $COLOUR") == "hello\ntool\nblue"
        await sandbox.run("echo changed > /opt/coder/env/made", timeout=30)
        assert await said(sandbox, "cat /opt/coder/env/made; ls -A /opt/coder/env") == "hello\nbin\nmade"
        assert sandbox.workspace.changes() == []
    assert project.workspace.source.joinpath("hello.txt").read_text() == "hello\n"


async def test_nothing_of_the_copy_of_the_repository_is_kept(project: Project) -> None:
    kept = await set_up(
        project.job(
            "echo planted > hello.txt; echo new > new.txt; mkdir -p .git/hooks; echo x > .git/hooks/pre-commit"
        )
    )
    async with project.later(kept) as sandbox:
        assert await said(sandbox, "cat hello.txt; ls") == "hello\nhello.txt"


async def test_directories_that_peoples_own_commands_make_move_and_links_take_their_place(
    project: Project,
) -> None:
    kept = await set_up(project.job("mkdir -p node_modules/x .venv; echo 1 > node_modules/x/index.js"))
    assert set(kept.links) == {"node_modules", ".venv"}
    async with project.later(kept) as sandbox:
        assert await said(sandbox, "cat node_modules/x/index.js; git status --short") == "1"
        assert sandbox.workspace.changes() == []


async def test_what_was_built_in_the_tree_and_is_ignored_is_there_later_and_nothing_else(
    project: Project,
) -> None:
    kept = await set_up(
        project.job(
            "mkdir -p ignored/deep; echo version > ignored/deep/_version.py; echo no > other.txt",
            "mkdir -p $CODER_ENV/built; echo planted > $CODER_ENV/built/hello.txt; echo planted > $CODER_ENV/built/new.txt",
        )
    )
    async with project.later(kept) as sandbox:
        assert (
            await said(sandbox, "cat ignored/deep/_version.py hello.txt; ls")
            == "version\nhello\nhello.txt\nignored"
        )
        assert sandbox.workspace.changes() == []


async def test_a_virtual_environment_made_from_what_is_there_runs_later(project: Project) -> None:
    kept = await set_up(
        project.job("python3 -m venv --without-pip $CODER_ENV/venv", python="/opt/coder/env/venv/bin/python")
    )
    async with project.later(kept) as sandbox:
        assert (
            await said(sandbox, f"{kept.python} -c 'import sys; print(sys.prefix)'") == "/opt/coder/env/venv"
        )


async def test_the_same_again_is_found_and_starts_nothing(project: Project) -> None:
    job = project.job("echo x > $CODER_ENV/x", inputs=("hello.txt",))
    assert await cached(job) is None
    kept = await set_up(job)
    assert await cached(job) == kept
    (project.workspace.root / "hello.txt").write_text("changed")
    assert await cached(job) is None
    assert (await set_up(job)).key != kept.key


# -- what the steps see ----------------------------------------------------------------------------------------------


async def test_steps_are_an_ordinary_user_who_sees_no_secret_and_no_network(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOST_SECRET", "do-not-show")
    script = "id -u; env; cat /proc/1/environ | tr '\\0' '\\n'; ls /root ~/.ssh; (echo > /dev/tcp/1.1.1.1/80) 2>&1 | tail -1"
    await set_up(project.job(script))
    joined = "\n".join(project.said)
    assert "do-not-show" not in joined
    assert "\n0\n" not in joined
    assert "unreachable" in joined


async def test_variables_that_the_user_passes_are_for_the_steps_alone_and_never_in_the_log(
    project: Project,
) -> None:
    job = project.job(
        '[ "$INDEX" = https://user:passw0rd@host/ ] && echo "uses $INDEX"',
        passed={"INDEX": "https://user:passw0rd@host/"},
    )
    kept = await set_up(job)
    everything = "\n".join(project.said) + (project.directory / "log").read_text() + repr(kept)
    assert "uses […]" in everything
    assert "passw0rd" not in everything
    async with project.later(kept) as sandbox:
        assert "INDEX" not in await said(sandbox, "env; grep -r passw0rd /opt/coder/env")


async def test_the_users_certificates_are_there_for_the_steps_and_gone_later(project: Project) -> None:
    bundle = project.directory / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    environ = {"PATH": os.environ["PATH"], "SSL_CERT_FILE": str(bundle)}
    names = "SSL_CERT_FILE REQUESTS_CA_BUNDLE PIP_CERT NODE_EXTRA_CA_CERTS CARGO_HTTP_CAINFO GIT_SSL_CAINFO"
    kept = await set_up(
        project.job(f'for n in {names}; do grep -q MIIB "${{!n}}" || exit 1; done', environ=environ)
    )
    async with project.later(kept) as sandbox:
        assert await said(sandbox, "ls -A /opt/coder/env; env | grep CERT") == ""


# -- what goes wrong -------------------------------------------------------------------------------------------------


async def test_a_step_that_fails_is_named_with_its_last_lines_and_nothing_stays(project: Project) -> None:
    problem = await failure(
        project.job("echo one > $CODER_ENV/x", "echo before; echo why >&2; exit 7", "echo never")
    )
    assert problem.step.startswith("echo before")
    assert problem.lines == ("before", "why")
    assert "status 7" in str(problem)
    assert ".coder.toml" in problem.hint
    assert "why" in problem.log.read_text()
    assert "never" not in "\n".join(project.said)
    assert project.leftovers() == []


@pytest.mark.parametrize(
    ("script", "limits", "reason"),
    [
        ("sleep 7101", {"timeout": 4.0}, "took too long"),
        (
            "trap '' TERM INT; (setsid sleep 7102 &); while :; do sleep 7103; done",
            {"timeout": 4.0},
            "took too long",
        ),
        ("yes", {}, "MB of output"),
        (
            "dd if=/dev/zero of=$CODER_ENV/big bs=1M count=3000; sleep 30",
            {"directory_mb": 20},
            "more than 20 MB",
        ),
        ("dd if=/dev/zero of=$CODER_ENV/.tmp/big bs=1M count=60", {"directory_mb": 20}, "more than 20 MB"),
        ("chmod 000 $CODER_ENV; sleep 5", {}, ""),
    ],
    ids=["hangs", "resists", "floods", "fills-the-disk", "fills-it-quickly", "locks-us-out"],
)
async def test_a_hostile_step_is_ended_and_leaves_nothing(
    project: Project, script: str, limits: Mapping[str, Any], reason: str
) -> None:
    if script.startswith("chmod"):  # it may do that: only its own directory is out of its own reach
        with_limit = asyncio.timeout(60)
        async with with_limit:
            try:
                kept = await set_up(project.job(script, **limits))
                project.store.remove(kept)
            except SandboxError:
                pass
    else:
        assert reason in str(await failure(project.job(script, **limits)))
    assert project.leftovers() == []
    assert sleepers("710") == []


async def test_links_planted_where_we_clean_up_are_not_followed(project: Project) -> None:
    outside = project.directory / "outside"
    outside.mkdir()
    (outside / "precious").write_text("x")
    kept = await set_up(
        project.job(
            f"cd $CODER_ENV; rm -rf .tmp .cache .certificates.pem; for n in .tmp .cache .certificates.pem; do ln -s {outside} $n; done;"
            "cd /workspace; mkdir node_modules"
        )
    )
    assert (outside / "precious").read_text() == "x"
    assert [path.name for path in outside.iterdir()] == ["precious"]
    assert "node_modules" in kept.links
    problem = await failure(project.job(f"ln -s {outside} $CODER_ENV/kept; mkdir node_modules"))
    assert problem.step == "keeping what the steps made"
    assert [path.name for path in outside.iterdir()] == ["precious"]


async def test_cancelling_ends_it_and_leaves_nothing(project: Project) -> None:
    task = asyncio.create_task(set_up(project.job("echo begun; sleep 7201")))
    while "begun" not in project.said:
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert project.leftovers() == []
    assert sleepers("7201") == []


async def test_a_second_set_up_of_the_same_waits_for_the_first(on_bubblewrap: Project) -> None:
    project = on_bubblewrap
    job = project.job("sleep 1; echo x >> $CODER_ENV/runs")
    first, second = await asyncio.gather(set_up(job), set_up(job))
    assert first == second
    directory = project.store.environment(first).directory
    assert directory is not None
    assert (directory / "runs").read_text() == "x\n"


def test_a_killed_set_up_leaves_nothing_behind_after_the_next(project: Project) -> None:
    script = textwrap.dedent(f"""
        import asyncio, os, signal
        from pathlib import Path
        from sandbox.environments.job import Job
        from sandbox.environments.prepare import set_up
        from sandbox.environments.recipe import Recipe
        from sandbox.environments.store import Store
        from sandbox.workspace import Workspace
        place = Path({str(project.directory)!r})
        workspace = Workspace.create(place / "repository", place / "killed")
        def say(line):
            if line == "begun":
                os.kill(os.getpid(), signal.SIGKILL)
        asyncio.run(set_up(Job(
            recipe=Recipe(source="a test", steps=("echo begun; sleep 7301",)), workspace=workspace,
            project=workspace.source, backend={project.backend!r}, store=Store(place / "store"), log=place / "log",
            say=say, environ=dict(os.environ), image={IMAGE!r})))
        """)
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False, timeout=60)
    assert any(name.endswith(".partial") for name in project.leftovers())

    async def next_one() -> Kept:
        project.store.reap()
        return await set_up(project.job("true"))

    kept = asyncio.run(next_one())
    assert project.leftovers() == [kept.key]
    assert sleepers("7301") == []


# -- images ----------------------------------------------------------------------------------------------------------


def add(project: Project, path: str, content: str) -> None:
    """A file in the copy, as the repository would have it."""
    target = project.workspace.root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(content)


@pytest.mark.docker
async def test_a_dockerfile_of_the_project_is_built_and_used(on_docker: Project) -> None:
    project = on_docker
    add(
        project,
        "docker/Dockerfile",
        f"FROM {IMAGE}\nARG WHO\nUSER root\nCOPY . /src\nRUN echo $WHO > /built; ls -A /src > /list\n",
    )
    add(project, ".dockerignore", "# not these\ndropped*\n")
    add(project, "dropped.txt", "x")
    job = project.job("cat /built > $CODER_ENV/x", dockerfile="docker/Dockerfile", build_args={"WHO": "me"})
    kept = await set_up(job)
    try:
        async with project.later(kept) as sandbox:
            listed = await said(sandbox, "cat /built /list /opt/coder/env/x; id -u; touch /y 2>&1")
        assert listed.startswith("me\n")
        assert "hello.txt" in listed
        assert "dropped.txt" not in listed
        assert ".git\n" not in listed
        assert "Read-only file system" in listed
        assert await cached(job) == kept
    finally:
        subprocess.run(["docker", "image", "rm", kept.built], capture_output=True, check=True)
    assert await cached(job) is None


def images() -> list[str]:
    done = subprocess.run(["docker", "images", "-aq"], capture_output=True, text=True, check=True)
    return sorted(done.stdout.split())


@pytest.mark.docker
async def test_a_build_that_fails_leaves_no_image(on_docker: Project) -> None:
    before = images()
    add(on_docker, "Dockerfile", f"FROM {IMAGE}\nRUN echo one\nRUN echo two; exit 9\n")
    problem = await failure(on_docker.job(dockerfile="Dockerfile"))
    assert problem.step == "docker build -f Dockerfile ."
    assert "two" in problem.lines
    assert set(images()) <= set(before)
    assert on_docker.leftovers() == []


@pytest.mark.docker
async def test_a_build_that_hangs_is_ended_and_leaves_nothing(on_docker: Project) -> None:
    before = images()
    add(on_docker, "Dockerfile", f"FROM {IMAGE}\nRUN echo {on_docker.directory}; sleep 7601\n")
    problem = await failure(on_docker.job(dockerfile="Dockerfile", timeout=8.0))
    assert "took too long" in str(problem)
    assert sleepers("7601") == []
    done = subprocess.run(["docker", "ps", "-a", "--no-trunc"], capture_output=True, text=True, check=True)
    assert "sleep 7601" not in done.stdout
    assert set(images()) <= set(before)


@pytest.mark.docker
@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "link", "missing", "pipe"])
async def test_a_dockerfile_that_lies_elsewhere_is_not_read(on_docker: Project, path: str) -> None:
    (on_docker.workspace.root / "link").symlink_to("/etc/passwd")
    os.mkfifo(on_docker.workspace.root / "pipe")
    problem = await failure(on_docker.job(dockerfile=path))
    assert "cannot be built" in str(problem)
    assert "root:" not in "\n".join((*on_docker.said, *problem.lines))


@pytest.mark.docker
async def test_links_in_a_build_context_lead_nowhere_on_the_host(on_docker: Project) -> None:
    secret = on_docker.directory / "secret"
    secret.write_text("do-not-show")
    (on_docker.workspace.root / "leak").symlink_to(secret)
    add(on_docker, "Dockerfile", f"FROM {IMAGE}\nCOPY . /src\nRUN cat /src/leak; exit 1\n")
    problem = await failure(on_docker.job(dockerfile="Dockerfile"))
    assert "do-not-show" not in "\n".join((*on_docker.said, *problem.lines))


@pytest.mark.docker
async def test_an_image_that_is_nowhere_is_named_with_what_to_do(on_docker: Project) -> None:
    problem = await failure(on_docker.job("true", image="localhost:1/none/such:1"))
    assert problem.step == "docker pull localhost:1/none/such:1"
    assert "--image" in problem.hint
    with pytest.raises(SandboxUnavailable, match="coder-sandbox:none"):
        await set_up(replace(on_docker.job("true"), image="coder-sandbox:none"))
    assert on_docker.leftovers() == []


# -- as somebody who is not root -------------------------------------------------------------------------------------


@pytest.mark.skipif(os.getuid() != 0, reason="every other test here is run by an ordinary user then")
def test_an_ordinary_user_sets_up_and_uses_it(tmp_path: Path) -> None:
    import shutil

    import msgspec

    script = textwrap.dedent("""
        import asyncio, os, sys
        from pathlib import Path
        from sandbox.base import Policy
        from sandbox.choose import open_sandbox
        from sandbox.environments.job import Job
        from sandbox.environments.prepare import set_up
        from sandbox.environments.recipe import Recipe
        from sandbox.environments.store import Store
        from sandbox.workspace import Workspace

        async def main(place):
            (place / "project").mkdir()
            (place / "project" / "hello.txt").write_text("hello")
            store = Store(place / "store")
            workspace = Workspace.create(place / "project", place / "copy")
            recipe = Recipe(source="t", steps=("cp hello.txt $CODER_ENV; id -u; mkdir -p node_modules/x",))
            kept = await set_up(Job(recipe=recipe, workspace=workspace, project=place / "project",
                backend="bubblewrap", store=store, log=place / "log", say=print, environ=dict(os.environ)))
            fresh = workspace.fresh(place / "later")
            sandbox, _ = await open_sandbox("bubblewrap", fresh, Policy(), image=None, toolchain=kept.toolchain(),
                environment=store.environment(kept))
            print((await sandbox.run("cat /opt/coder/env/hello.txt; ls node_modules", timeout=30)).text())
            await sandbox.close()
        asyncio.run(main(Path(sys.argv[1])))
        """)
    with code_for_everybody() as code, tempfile.TemporaryDirectory() as name:
        shutil.copytree(Path(msgspec.__file__).parent, code / "msgspec")
        os.chown(name, 12345, 12345)
        done = subprocess.run(
            ["setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups", "/usr/bin/python3", "-c", script, name],
            env={"PATH": os.defpath, "PYTHONPATH": str(code), "HOME": name}, cwd="/",
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [
        "$",
        "cp",
        "hello.txt",
        "$CODER_ENV;",
        "id",
        "-u;",
        "mkdir",
        "-p",
        "node_modules/x",
        "12345",
        "hellox",
    ]
