"""A set-up on its way in bubblewrap; what Docker does otherwise stands in docker_attempt.py."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from sandbox import hostfiles
from sandbox.base import WORKDIR, Result, Sandbox
from sandbox.environments import certificates
from sandbox.environments.basis import Basis, find_basis
from sandbox.environments.job import DIRECTORY_FILES, Job, SetupFailed, policy
from sandbox.environments.recipe import PLACE, Environment
from sandbox.environments.store import Kept, Making, size_of
from sandbox.environments.transcript import Transcript
from sandbox.errors import FileRefused
from sandbox.walking import remove_tree
from sandbox.watch import DiskWatch

__all__ = ["Attempt"]

_CERTIFICATES = ".certificates.pem"
_SCRATCH = (".tmp", ".cache")
"""Directories in PLACE for the time of the set-up: on the disk, where their size is watched."""
_KEPT = (".venv", "venv", "node_modules")
"""Directories that people's own commands make in the workspace; they move to PLACE, and links take their place."""


_KEEP = """keep() {
  if [ -d "$1" ] && [ ! -L "$1" ] && [ ! -e "$2" ]; then mkdir -p "${2%/*}" && mv "$1" "$2"; fi
}"""


_BUILT = f"{PLACE}/built"
_COPY_BUILT = f"""if git ls-files --others --ignored --exclude-standard -z 2>/dev/null |
    grep -zvE '(^|/)(__pycache__|node_modules|[.]venv|venv|[.]git|[.][a-z]+_cache)/' >/tmp/built; then
  mkdir -p {_BUILT} && tar --null -T /tmp/built -cf - | tar -xf - -C {_BUILT}
fi"""
"""Such as `_version.py`, extension modules, `dist/`: what was built in the tree, as far as git ignores it."""


class Attempt:
    """A set-up in bubblewrap on its way."""

    def __init__(self, job: Job, transcript: Transcript) -> None:
        self._job = job
        self._transcript = transcript
        self._basis = Basis()
        self._image = self._built = ""
        self._step = ""
        self._deadline = time.monotonic() + job.timeout

    async def find_base(self) -> str:
        """What it will stand upon."""
        self._basis = await asyncio.to_thread(find_basis, self._job.project, self._job.environ)
        return str(self._basis)

    async def make(self, making: Making, name: str, mark: str, base: str) -> Kept:
        """Run the steps, and tell what they made."""
        job, recipe = self._job, self._job.recipe
        self._prepare(making.directory)
        if recipe.steps:
            watch = DiskWatch(making.directory, job.directory_mb, DIRECTORY_FILES)
            await watch.start()
            async with self._opened(self._environment(making, name)) as sandbox:
                for step in recipe.steps:
                    await self._run(sandbox, step, watch)
                await self._run(sandbox, self._keeping(), watch, title="keeping what the steps made")
        await asyncio.to_thread(self._tidy, making.directory)
        links = {**recipe.links, **self._kept_links(making.directory)}
        size = await asyncio.to_thread(size_of, making.directory)
        return Kept(
            key=name,
            fingerprint=mark,
            project=str(job.project),
            source=recipe.source,
            backend=job.backend,
            base=base,
            made=time.time(),
            size=size,
            env={**self._basis.env, **recipe.env},
            path=(*recipe.path, *self._basis.path),
            links=links,
            python=self._python(links),
            mounts=tuple((str(mount.source), str(mount.target)) for mount in self._basis.mounts),
            image=self._image,
            built=self._built,
            files=self._files(making.directory),
        )

    def failure(self, what: str, hint: str) -> SetupFailed:
        """The error that names the step that was running."""
        self._transcript.flush()
        return SetupFailed(
            f"the set-up of {self._job.recipe.source} failed at `{self._step.partition(chr(10))[0] or 'the start'}`: {what}",
            hint=hint,
            step=self._step,
            lines=self._transcript.last_lines(),
            log=self._job.log,
        )

    # What differs between the backends

    @contextlib.asynccontextmanager
    async def _opened(self, environment: Environment) -> AsyncIterator[Sandbox]:
        from sandbox.bubblewrap import Bubblewrap
        from sandbox.toolchain import Toolchain

        basis = self._basis
        toolchain = Toolchain(
            python=basis.python, mounts=basis.mounts, path=basis.path, env=basis.env, why="The machine's own."
        )
        sandbox = Bubblewrap(
            self._job.workspace,
            policy(),
            toolchain=toolchain,
            environment=environment,
            network=self._job.network,
        )
        await sandbox.start()
        try:
            yield sandbox
        finally:
            await sandbox.close()

    def _python(self, links: Mapping[str, str]) -> str:
        """The interpreter for tests: the recipe's, the one of an environment in the workspace, the basis."""
        own = next((f"{WORKDIR}/{name}/bin/python" for name in _KEPT[:2] if name in links), "")
        return self._job.recipe.python or own or self._basis.python

    # The steps

    def _environment(self, making: Making, name: str) -> Environment:
        recipe = self._job.recipe
        return Environment(
            key=name,
            why="",
            directory=making.directory,
            writable=True,
            env=recipe.env,
            path=recipe.path,
        )

    def _prepare(self, directory: Path) -> None:
        uid = self._job.workspace.uid
        for name in _SCRATCH:
            (directory / name).mkdir()
        bundle = certificates.find(self._job.environ)
        if bundle:
            (directory / _CERTIFICATES).write_bytes(bundle)
        if os.geteuid() == 0:
            for path in (directory, *directory.iterdir()):
                os.chown(path, uid, uid)

    def _variables(self) -> dict[str, str]:
        found = {
            "CODER_ENV": PLACE,
            "TMPDIR": f"{PLACE}/.tmp",
            "XDG_CACHE_HOME": f"{PLACE}/.cache",
            "npm_config_cache": f"{PLACE}/.cache/npm",
            "PIP_NO_INPUT": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "npm_config_update_notifier": "false",
        }
        if certificates.find(self._job.environ):
            found |= dict.fromkeys(certificates.VARIABLES, f"{PLACE}/{_CERTIFICATES}")
        return found | dict(self._job.passed)

    async def _run(self, sandbox: Sandbox, step: str, watch: DiskWatch, *, title: str = "") -> None:
        self._step = title or step
        if not title:
            self._transcript.begin(step)
        left = self._deadline - time.monotonic()
        running = asyncio.create_task(
            sandbox.run(
                step,
                timeout=max(1.0, left),
                env=self._variables(),
                cap=64 * 1024,
                on_output=self._transcript.feed,
            )
        )
        try:
            while not running.done():
                await asyncio.wait({running}, timeout=1.0)
                if not running.done() and await watch.full(running=True):
                    raise self.failure(f"it wrote more than {self._job.directory_mb} MB", "see what it makes")
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        self._judge(running.result())
        if await watch.full():
            raise self.failure(f"it wrote more than {self._job.directory_mb} MB", "see what it makes")

    def _judge(self, result: Result) -> None:
        if result.timed_out:
            raise self.failure("it took too long", "give it more time: --timeout SECONDS")
        if result.oom:
            raise self.failure(f"it needed more than {policy().memory_mb} MB of memory", "build less at once")
        if result.killed == "output":
            raise self.failure(f"it wrote more than {policy().flood_mb} MB of output", "have it say less")
        if result.killed == "disk":
            raise self.failure("it filled the disk", "see what it makes in the copy of the repository")
        if not result.ok:
            raise self.failure(
                f"it ended with status {result.exit}",
                "other commands can be named in .coder.toml: [environment] setup = [...]",
            )

    def _keeping(self) -> str:
        """A command that moves what later sandboxes need out of the workspace; never what the repository holds itself."""
        present = self._job.workspace.tree_files(self._job.workspace.base)
        tops = {path.partition("/")[0] for path in present}
        targets = {name: f"{PLACE}/kept/{name}" for name in _KEPT if name not in tops}
        targets |= {name: target for name, target in self._job.recipe.links.items() if name not in present}
        moves = (f"keep {shlex.quote(name)} {shlex.quote(target)}" for name, target in targets.items())
        return f"{_KEEP}\n" + " &&\n".join(("true", *moves, _COPY_BUILT))

    def _tidy(self, directory: Path) -> None:
        """Remove what was for the set-up alone. No command is running any more."""
        for name in (*_SCRATCH, _CERTIFICATES):
            with contextlib.suppress(OSError, FileRefused):
                if hostfiles.kind(directory, name) == "dir":
                    remove_tree(directory / name)
                else:
                    hostfiles.remove(directory, name, links=False)

    def _files(self, directory: Path) -> str:
        with contextlib.suppress(OSError, FileRefused):
            if hostfiles.kind(directory, Path(_BUILT).name) == "dir":
                return _BUILT
        return ""

    def _kept_links(self, directory: Path) -> dict[str, str]:
        found = {}
        for name in _KEPT:
            with contextlib.suppress(OSError, FileRefused):
                if hostfiles.kind(directory, f"kept/{name}") == "dir":
                    found[name] = f"{PLACE}/kept/{name}"
        return found
