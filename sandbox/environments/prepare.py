"""Carries out a recipe once, before any model runs: in a sandbox of its own, with a logged network, whole or not at all."""

from __future__ import annotations

import asyncio

from sandbox.environments.attempt import Attempt
from sandbox.environments.job import Job
from sandbox.environments.keys import fingerprint, key
from sandbox.environments.store import Busy, Kept, Making
from sandbox.environments.transcript import Transcript
from sandbox.errors import SandboxError

__all__ = ["cached", "set_up"]

_PAUSE = 0.5


async def cached(job: Job) -> Kept | None:
    """What an earlier set-up made of the same; None when there is none, or what it stands upon has changed."""
    kept = job.store.find(fingerprint(job.workspace.root, job.project, job.recipe, job.backend))
    if kept is None or job.backend != "docker":
        return kept
    from sandbox.engine import Engine
    from sandbox.environments import images

    engine = await Engine.connect(None)
    try:
        there = await images.image_id(engine, kept.image)
        now = kept.image if job.recipe.dockerfile else await images.image_id(engine, job.named_image)
    finally:
        engine.close()
    return kept if there and now in ("", kept.image) else None


async def set_up(job: Job) -> Kept:
    """Do it, and keep what came of it. While another process does the same, wait for what comes of that.

    Raises SetupFailed, SandboxUnavailable and SandboxError; then nothing is left.
    """
    mark = fingerprint(job.workspace.root, job.project, job.recipe, job.backend)
    try:
        with job.store.making(mark[:32]) as making:
            return await _made(job, making, mark)
    except Busy as busy:
        job.say(f"{busy}: waiting for it")
    while job.store.is_busy(mark[:32]):  # noqa: ASYNC110 - another process has no event to wait for
        await asyncio.sleep(_PAUSE)
    kept = await cached(job)
    if kept is None:
        raise SandboxError("the other process did not get it done", hint="start again")
    return kept


async def _made(job: Job, making: Making, mark: str) -> Kept:
    transcript = Transcript(job.log, job.say, [value for value in job.passed.values() if value])
    attempt = _attempt(job, transcript)
    try:
        async with asyncio.timeout(job.timeout):
            base = await attempt.find_base()
            kept = await attempt.make(making, key(mark, base), mark, base)
            job.store.finish(making, kept)
            return kept
    except TimeoutError as error:
        raise attempt.failure("it took too long", "give it more time: --timeout SECONDS") from error
    finally:
        transcript.close()


def _attempt(job: Job, transcript: Transcript) -> Attempt:
    if job.backend != "docker":
        return Attempt(job, transcript)
    from sandbox.environments.docker_attempt import DockerAttempt

    return DockerAttempt(job, transcript)
