"""Attempts on a Ray cluster, which teams that serve a model over several machines run already.

A node needs this program at the same version, and the sandbox. Results stream home into the same files as those of one
machine; an attempt whose node is lost is made again on another.
"""

from __future__ import annotations

import os
import socket
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec

from coder import __version__
from coder.errors import CoderError, UsageError
from evals.folder import RunFolder, write_whole
from evals.instance import Instance
from evals.result import Result
from evals.running import node
from evals.running.attempt import Settings
from evals.running.endpoints import Endpoints

AGAIN = 3
"""Times that an attempt is begun anew since its node was lost."""


CONNECT_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """What an attempt takes of a node. Disk counts where nodes name a resource `disk_mb`."""

    cpus: float = 1.0
    memory_mb: int = 1000
    disk_mb: int = 0


@dataclass(kw_only=True)
class Cluster:
    """See Executor. A context; connects at its beginning. Raises UsageError where there is no Ray, or no cluster."""

    address: str
    folder: RunFolder
    settings: Settings
    endpoints: Endpoints
    sandbox: str
    image: str = ""
    share: Share = field(default_factory=Share)
    _ray: Any = None
    _remote: Any = None
    _trees: dict[str, Any] = field(default_factory=dict)

    def __enter__(self) -> Self:
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        try:
            import ray
        except ImportError:
            raise UsageError(
                "--executor ray needs the package of the extra `ray`",
                hint="pip install 'nemotron-coder[ray]'",
            ) from None
        _reach(self.address)
        try:
            ray.init(address=self.address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise UsageError(
                f"no Ray cluster answers at {self.address}: {error}",
                hint="Start one with `ray start --head`.",
            ) from error
        self._ray = ray
        share = self.share
        resources = {"disk_mb": share.disk_mb} if share.disk_mb else {}
        self._remote = ray.remote(
            num_cpus=share.cpus,
            memory=share.memory_mb * 2**20,
            resources=resources,
            max_retries=0,
            max_calls=1,
        )(node.attempt)
        return self

    def __exit__(self, *_: object) -> None:
        self._ray.shutdown()

    def slots(self) -> int:
        """How many attempts the cluster holds now, by its processors and memory."""
        held = self._ray.cluster_resources()
        by_memory = held.get("memory", 0.0) / (self.share.memory_mb * 2**20)
        return max(1, int(min(held.get("CPU", 1.0) / self.share.cpus, by_memory)))

    async def attempt(self, instance: Instance, number: int, slot: AsyncExitStack, *, anew: bool) -> Result:
        """See Executor; nothing of an attempt that was cut off is left at home, so all is done anew."""
        async with self.endpoints.one() as endpoint:
            done = await self._done(instance, number, endpoint)
        if done.usage:
            raise UsageError(done.usage)
        assert done.result is not None
        place = self.folder.place(instance.id, number)
        for name, data in done.files.items():
            if name != "result.json":
                write_whole(place / name, data)
        return done.result

    async def _done(self, instance: Instance, number: int, endpoint: str) -> node.Done:
        job = node.Job(
            version=__version__,
            instance=instance,
            number=number,
            flags=dict(self.settings.flags),
            workflow=self.settings.workflow,
            tests_timeout=self.settings.tests_timeout,
            sandbox=self.sandbox,
            image=self.image,
            endpoint=endpoint,
        )
        encoded, tree = msgspec.msgpack.encode(job), self._tree(instance)
        for begun in range(AGAIN + 1):
            made = self._remote.remote(encoded, tree)
            try:
                return msgspec.msgpack.decode(await made, type=node.Done)
            except self._ray.exceptions.RayTaskError as error:
                cause = error.cause
                raise CoderError(f"a node failed: {type(cause).__name__}: {cause}") from error
            except self._ray.exceptions.RayError as error:
                if begun == AGAIN:
                    raise CoderError(f"its node was lost {begun + 1} times: {error}") from error
            except BaseException:
                self._ray.cancel(made, force=True)
                raise
        raise AssertionError

    def _tree(self, instance: Instance) -> Any:
        """What is sent along, in the cluster's own store: once for all attempts at the same tree."""
        source = instance.recipe.source if instance.recipe else None
        key = f"{source.kind}:{source.path}:{source.commit}" if source else ""
        if key not in self._trees:
            self._trees[key] = self._ray.put(node.packed(source) if source else b"")
        return self._trees[key]


def _reach(address: str) -> None:
    """Say at once that nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition(":")
    if not host or "/" in address or not port.isdigit():
        return
    try:
        socket.create_connection((host, int(port)), CONNECT_SECONDS).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster answers at {address}: {error}", hint="Start one with `ray start --head`."
        ) from error
