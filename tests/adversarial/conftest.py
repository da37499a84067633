"""Every test here runs with canaries around it, and nothing here may be skipped where the parts are at hand."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from sandbox.base import Policy, Result, Sandbox
from tests.adversarial import canary as birds
from tests.adversarial.cases import KINDS
from tests.adversarial.remote import serving_process
from tests.conftest import missing
from tests.sandboxes import CALC, SMALL, opened, text

PARAMS = [pytest.param(kind, marks=pytest.mark.docker) if kind == "docker" else kind for kind in KINDS]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """A skipped test here is a failed one, but for an engine that this machine does not have."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail") and not missing("docker"):
        report.outcome = "failed"
        report.longrepr = f"skipped, although everything is at hand: {report.longrepr}"


@pytest.fixture(scope="session")
def canary() -> Iterator[birds.Canary]:
    with birds.canary() as canary:
        yield canary


@pytest.fixture(scope="session", autouse=True)
def _planted() -> Iterator[None]:
    """Secrets in the environment of whoever opens a sandbox."""
    with pytest.MonkeyPatch.context() as patch:
        for name in birds.SECRET_NAMES:
            patch.setenv(name, birds.SECRET)
        yield


@pytest.fixture(autouse=True)
def _host_untouched(
    canary: birds.Canary, monkeypatch: pytest.MonkeyPatch, _no_settings_of_the_user: None
) -> Iterator[None]:
    for name in birds.SECRET_NAMES:
        monkeypatch.setenv(name, birds.SECRET)
    canary.heard.clear()
    before = canary.look()
    yield
    assert canary.complaints(before) == []


class Heard:
    """A sandbox whose output the canary hears too."""

    def __init__(self, box: Sandbox, canary: birds.Canary) -> None:
        self._box, self._canary = box, canary

    async def run(self, script: str, **options: Any) -> Result:
        result = await self._box.run(script, **options)
        self._canary.heard += [result.head, result.tail]
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._box, name)


@asynccontextmanager
async def a_box(
    kind: str, directory: Path, canary: birds.Canary, policy: Policy = SMALL, files: Mapping[str, str] = CALC
) -> AsyncIterator[Any]:
    """A started sandbox of this kind, as the user whom the canary knows."""
    if kind == "ordinary":
        with serving_process(directory, "bubblewrap", policy, files, birds.UID) as remote:
            birds.SERVANTS.add(remote.process.pid)
            yield Heard(remote, canary)
            birds.SERVANTS.discard(remote.process.pid)
        return
    async with opened(kind, directory, policy, files, uid=birds.UID) as box:
        yield Heard(box, canary)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PARAMS)
async def box(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, canary: birds.Canary
) -> AsyncIterator[Any]:
    """One sandbox takes all the attacks of a module: what one of them spoils, the next test finds."""
    async with a_box(request.param, tmp_path_factory.mktemp("box"), canary) as sandbox:
        yield sandbox


@pytest_asyncio.fixture(loop_scope="module")
async def still_works(box: Sandbox) -> AsyncIterator[None]:
    yield
    after = await box.run("cat calc.py && echo x > /tmp/x && ps -e -o comm= | sort | uniq -c", timeout=20)
    assert after.ok, text(after)
    assert len(text(after).splitlines()) < 14, "processes were left behind"


Open = Callable[..., Any]


@pytest_asyncio.fixture(params=PARAMS)
async def fresh(request: pytest.FixtureRequest, tmp_path: Path, canary: birds.Canary) -> AsyncIterator[Any]:
    """A sandbox for one test alone."""
    async with a_box(request.param, tmp_path, canary) as sandbox:
        yield sandbox


assert os.getuid() != 0 or birds.UID != 0
