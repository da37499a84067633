"""The program in a real terminal: tmux draws it, and every byte that it wrote is kept."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ESCAPES = re.compile(
    rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]"  # control sequences
    rb"|\x1b\][0-9]+;[^\x07\x1b]*(?:\x07|\x1b\\)"  # titles, notifications, the clipboard
    rb"|\x1b[()][A-Z0-9]|\x1b[=>78Mc]"
)


class Terminal:
    """A tmux server of its own, with one window in which `command` runs."""

    def __init__(
        self, folder: Path, command: str, *, size: tuple[int, int] = (100, 30), **environ: str
    ) -> None:
        self._socket = folder / "tmux"
        self.log = folder / "bytes"
        assigned = " ".join(f"{name}={shlex.quote(value)}" for name, value in environ.items())
        script = folder / "run.sh"
        script.write_text(
            f"stty -ixon\nexport {assigned or 'A=a'}\n{command}\necho EXIT $?\nexec sleep 600\n"
        )
        width, height = map(str, size)
        config = folder / "tmux.conf"
        config.write_text(
            "set -g escape-time 0\nset -g status off\nset -g focus-events on\nset -s set-clipboard off\n"
        )
        self.tmux("-f", str(config), "new-session", "-d", "-x", width, "-y", height, "exec sleep 600")
        self.tmux("pipe-pane", "-o", f"cat >>{shlex.quote(str(self.log))}")
        self.tmux("respawn-pane", "-k", f"sh {shlex.quote(str(script))}")

    def tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self._socket), *words],
            capture_output=True,
            text=True,
            check=True,
            env=_environ(),
        )
        return done.stdout

    def press(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def write(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def resize(self, width: int, height: int) -> None:
        self.tmux("resize-window", "-x", str(width), "-y", str(height))

    @property
    def text(self) -> str:
        return self.tmux("capture-pane", "-p")

    @property
    def history(self) -> str:
        return self.tmux("capture-pane", "-p", "-S", "-2000")

    def until(self, condition: Callable[[str], object], seconds: float = 60.0) -> str:
        """Wait until what is shown fulfils `condition`."""
        deadline = time.monotonic() + seconds
        while not condition(text := self.text):
            assert time.monotonic() < deadline, f"it did not happen:\n{text}"
            time.sleep(0.1)
        return text

    def shows(self, words: str, seconds: float = 60.0) -> str:
        return self.until(lambda text: words in text, seconds)

    def left_over(self) -> bytes:
        """The bytes that the program wrote, without the sequences that drawing needs."""
        return ESCAPES.sub(b"", self.log.read_bytes())

    def close(self) -> None:
        words = ["tmux", "-S", str(self._socket), "kill-server"]
        subprocess.run(words, capture_output=True, check=False, env=_environ())


def _environ() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TMUX")}
    return {**kept, "TERM": "xterm-256color", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
