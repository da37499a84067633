"""Picks a backend and starts it. Without a sandbox commands run only where that was asked for by its name."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Awaitable, Callable

from sandbox.base import Policy, Sandbox
from sandbox.environments.recipe import Environment
from sandbox.errors import SandboxUnavailable
from sandbox.network import Network
from sandbox.toolchain import Toolchain
from sandbox.workspace import Workspace

DEFAULT_IMAGE = "coder-sandbox:base"
UNCONFINED = "none"
_FILL_SECONDS = 120.0
KINDS = ("auto", "bubblewrap", "docker", UNCONFINED)


async def open_sandbox(
    kind: str,
    workspace: Workspace,
    policy: Policy,
    *,
    image: str | None,
    toolchain: Toolchain | None,
    environment: Environment | None = None,
    network: Network | None = None,
    runtime: str = "",
) -> tuple[Sandbox, str]:
    """A started sandbox of this kind, and a sentence saying which and why.

    `auto`: Docker when an image or a runtime (the engine's, such as runsc) is named, else bubblewrap, else Docker
    with the image that sandbox/images/build.sh makes; where neither works, a sandbox that runs nothing. `toolchain`
    matters to bubblewrap only; an image brings its own. `environment`, whose own image must be named, is shown by
    either. With a started `network` its commands reach what that allows; without, nothing. Raises SandboxUnavailable
    when what was named cannot be had, ValueError for another kind.
    """

    async def docker() -> Sandbox:
        from sandbox.docker import Docker

        chosen = image or DEFAULT_IMAGE
        sandbox = Docker(
            workspace, policy, image=chosen, environment=environment, network=network, runtime=runtime
        )
        return await _filled(await _started(sandbox), environment)

    async def bubblewrap() -> Sandbox:
        from sandbox.bubblewrap import Bubblewrap

        sandbox = Bubblewrap(workspace, policy, toolchain=toolchain, environment=environment, network=network)
        return await _filled(await _started(sandbox), environment)

    match kind:
        case "docker":
            return await docker(), f"Docker with the image {image or DEFAULT_IMAGE}, as asked for."
        case "bubblewrap":
            return (
                await bubblewrap(),
                f"bubblewrap, as asked for. {toolchain.why if toolchain else ''}".rstrip(),
            )
        case "auto" if image:
            return await docker(), f"Docker, since the image {image} is named."
        case "auto" if runtime:
            return await docker(), f"Docker, since the runtime {runtime} is named."
        case "auto":
            return await _first(bubblewrap, docker, workspace, toolchain)
        case "none":
            from sandbox.unconfined import Unconfined

            unconfined = Unconfined(workspace, policy, toolchain=toolchain)
            return await _started(
                unconfined
            ), "NO SANDBOX, as asked for: commands run on this machine as you."
    raise ValueError(f"no such sandbox: {kind!r} (one of {', '.join(KINDS)})")


async def _started(sandbox: Sandbox) -> Sandbox:
    await sandbox.start()
    return sandbox


async def _filled(sandbox: Sandbox, environment: Environment | None) -> Sandbox:
    """Copy what a set-up built in the tree to where there is nothing; what git does not ignore is taken back."""
    if environment is not None and environment.built:
        try:
            await sandbox.run(f"cp -an {shlex.quote(environment.built)}/. .", timeout=_FILL_SECONDS)
            await asyncio.to_thread(sandbox.workspace.restore, sandbox.workspace.base)
        except BaseException:
            await sandbox.close()
            raise
    return sandbox


async def _first(
    bubblewrap: Callable[[], Awaitable[Sandbox]],
    docker: Callable[[], Awaitable[Sandbox]],
    workspace: Workspace,
    toolchain: Toolchain | None,
) -> tuple[Sandbox, str]:
    try:
        why = f"bubblewrap, which needs no engine. {toolchain.why if toolchain else ''}".rstrip()
        return await bubblewrap(), why
    except SandboxUnavailable as problem:
        first = problem
    try:
        return await docker(), f"Docker with the image {DEFAULT_IMAGE}, since {first}."
    except SandboxUnavailable as second:
        from sandbox.nothing import Nothing

        hint = f"for bubblewrap: {first.hint}; for Docker: {second.hint}"
        why = f"no sandbox works here (bubblewrap: {first}; Docker: {second})"
        return Nothing(workspace, SandboxUnavailable(why, hint=hint)), f"{why}. {_sentence(hint)}"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
