"""A set-up on its way in Docker: its image is found, pulled or built first."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from sandbox.base import Sandbox
from sandbox.docker import Docker
from sandbox.engine import Engine
from sandbox.environments import certificates, images
from sandbox.environments.attempt import Attempt
from sandbox.environments.job import policy
from sandbox.environments.recipe import Environment
from sandbox.environments.store import Kept, Making
from sandbox.errors import SandboxError, SandboxUnavailable
from sandbox.network import ENVIRONMENT

__all__ = ["DockerAttempt"]

_PREDEFINED = ("http_proxy", "https_proxy", "no_proxy")
_PROXY = {name: value for name, value in ENVIRONMENT.items() if name.lower() in _PREDEFINED}
"""What the builder takes without asking the Dockerfile, and keeps out of the image."""


class DockerAttempt(Attempt):
    """A set-up in Docker on its way."""

    async def find_base(self) -> str:
        """The image's id; empty for one that is yet to be built."""
        if self._job.recipe.dockerfile:
            return ""

        name = self._job.named_image
        engine = await Engine.connect(None)
        try:
            self._image = await images.image_id(engine, name)
            if not self._image and self._job.recipe.image:
                self._step = f"docker pull {name}"
                self._transcript.begin(self._step)
                try:
                    self._image = await images.pull(engine, name, self._transcript.feed)
                except SandboxError as error:
                    hint = f"see whether `docker pull {name}` works, or name another image with --image"
                    raise self.failure(str(error), hint) from error
        finally:
            engine.close()
        if not self._image:
            raise SandboxUnavailable(
                f"the image {name} is not on this machine", hint="sandbox/images/build.sh makes it"
            )
        return self._image

    async def make(self, making: Making, name: str, mark: str, base: str) -> Kept:
        if self._job.recipe.dockerfile:
            await self._build(name)
        try:
            return await super().make(making, name, mark, base or self._image)
        except BaseException:
            if self._built:
                await asyncio.shield(self._discard(self._built))
            raise

    async def _build(self, name: str) -> None:
        """Build the Dockerfile; its commands have the network of a sandbox that does nothing else."""

        job, recipe = self._job, self._job.recipe
        self._step = f"docker build -f {recipe.dockerfile} {recipe.context}"
        self._transcript.begin(self._step)
        engine = await Engine.connect(None)
        holder = (
            Docker(job.workspace, policy(), image=job.image, network=job.network) if job.network else None
        )
        try:
            if holder is not None:
                await holder.start()
            self._image = await images.build(
                engine,
                job.workspace.root,
                recipe,
                tag=f"coder-env:{name}",
                labels={"coder.environment": name, "coder.project": str(job.project)},
                network=f"container:{holder.container_id}" if holder else "none",
                variables=_PROXY if holder else {},
                certificates=certificates.find(job.environ),
                memory_mb=policy().memory_mb,
                say=self._transcript.feed,
            )
        except SandboxUnavailable:
            raise
        except SandboxError as error:
            hint = "build it yourself with `docker build`, and name the image with --image"
            raise self.failure(str(error), hint) from error
        finally:
            if holder is not None:
                await holder.close()
            engine.close()
        self._built = f"coder-env:{name}"

    async def _discard(self, image: str) -> None:

        with contextlib.suppress(SandboxError):
            engine = await Engine.connect(None)
            try:
                await images.remove(engine, image)
            finally:
                engine.close()

    @contextlib.asynccontextmanager
    async def _opened(self, environment: Environment) -> AsyncIterator[Sandbox]:

        sandbox = Docker(
            self._job.workspace,
            policy(),
            image=self._image,
            environment=environment,
            network=self._job.network,
        )
        await sandbox.start()
        try:
            yield sandbox
        finally:
            await sandbox.close()
