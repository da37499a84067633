"""`coder --serve-web` in a real browser: the window, a task, its answer, and nothing that leaves this machine."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.chromium import Page, chromium
from tests.e2e.conftest import git
from tests.scripted_server import ScriptedServer, Turn

pytestmark = pytest.mark.browser
ANSWER = "It subtracts where it should add."


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "repository"
    path.mkdir()
    (path / "calc.py").write_text("def add(a, b):\n    return a - b\n")
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")
    return path


@asynccontextmanager
async def serving(
    repository: Path, model: ScriptedServer, *flags: str
) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """The address that the program prints, and the program."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "coder", "--serve-web", "-C", str(repository), "--base-url", model.base_url,
        "--sandbox", "bubblewrap", *flags, stdout=asyncio.subprocess.PIPE, stdin=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield (await asyncio.wait_for(process.stdout.readline(), 60)).decode().strip(), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 30)


def shown(page: Page) -> str:
    """The words that the terminal was sent, without colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", page.frames.decode("utf-8", "replace"))


def children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in found.read_text().split()] if found.exists() else []


COLOURS = """
(async () => {
  const image = new Image(); image.src = "data:image/png;base64,PICTURE"; await image.decode();
  const canvas = document.createElement("canvas"); canvas.width = image.width; canvas.height = image.height;
  const context = canvas.getContext("2d"); context.drawImage(image, 0, 0);
  return new Set(new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer)).size;
})()
"""


async def test_a_task_in_a_browser(repository: Path, tmp_path: Path) -> None:
    import base64

    with ScriptedServer([Turn(text=ANSWER)], after="repeat") as model:
        async with serving(repository, model) as (address, process), chromium(tmp_path) as page:
            await page.open(address)
            await page.until(lambda: page.evaluate("document.body.classList.contains('-first-byte')"))
            (program,) = children(process.pid)
            await page.evaluate("document.querySelector('.xterm-helper-textarea').focus()")
            await page.type("why does add fail?")
            await page.press("Enter", 13)
            await page.until(lambda: ANSWER in shown(page))
            assert "why does add fail?" in str(model.requests[-1].body["messages"])
            picture = await page.screenshot(tmp_path / "window.png")
            drawn = COLOURS.replace("PICTURE", base64.b64encode(picture).decode())
            assert await page.evaluate(drawn) > 20
            await page.open("about:blank")
            await page.until(lambda: not Path(f"/proc/{program}").exists())
    places = {urlsplit(url).netloc for url in page.asked if not url.startswith(("data:", "about:"))}
    assert places == {urlsplit(address).netloc}


async def test_ctrl_c_ends_the_server_and_every_tab(repository: Path, tmp_path: Path) -> None:
    with ScriptedServer([Turn(text=ANSWER)], after="repeat") as model:
        async with serving(repository, model) as (address, process), chromium(tmp_path) as page:
            await page.open(address)
            await page.until(lambda: page.evaluate("document.body.classList.contains('-first-byte')"))
            (program,) = children(process.pid)
            os.kill(process.pid, signal.SIGINT)
            assert await asyncio.wait_for(process.wait(), 60) == 0
            await page.until(lambda: page.evaluate("document.body.classList.contains('-closed')"))
            await page.until(lambda: not Path(f"/proc/{program}").exists())


async def test_a_task_or_a_port_that_is_taken_is_refused(repository: Path) -> None:
    with ScriptedServer([]) as model:
        for flags, words in (
            (["a task", "with", "words"], b"takes no task"),
            (["--port", str(model.port)], b"cannot be had"),
        ):
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "coder", "--serve-web", *flags, stderr=asyncio.subprocess.PIPE
            )
            _, said = await asyncio.wait_for(process.communicate(), 60)
            assert words in said
            assert process.returncode == 2
