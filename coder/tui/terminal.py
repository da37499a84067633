"""The terminal before, around and after the window: what may be drawn on, and keys that come too early."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

PUSH_TITLE, POP_TITLE = "\x1b[22;2t", "\x1b[23;2t"


def is_terminal() -> bool:
    """Whether somebody can be there: keys come from a terminal, and results go to one."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def refusal(environ: Mapping[str, str]) -> str:
    """Why no window can be drawn here; empty when it can. The window is drawn on standard error."""
    if not sys.stderr.isatty():
        return "standard error is redirected, and the window is drawn there"
    if environ.get("TERM", "") in ("dumb", "unknown", ""):
        return f"the terminal cannot be drawn on (TERM={environ.get('TERM', '')})"
    return ""


def wants_plain(environ: Mapping[str, str]) -> bool:
    """Whether the user asked programs for words that a screen reader can follow."""
    return environ.get("ACCESSIBLE", "").lower() not in ("", "0", "false")


@contextmanager
def held_keys() -> Iterator[str]:
    """Keys typed from now on wait for whoever reads raw, as they were pressed: no echo, no Return made a newline.

    Loading the window takes a fraction of a second; without this, what is typed meanwhile would be shown by the
    terminal and reach the window changed. What was typed before, while the program itself was loaded, is given:
    there every Return is a newline. The terminal is as before afterwards.
    """
    import termios

    try:
        descriptor = sys.stdin.fileno()
        before = termios.tcgetattr(descriptor)
    except (termios.error, OSError, ValueError):
        yield ""
        return
    raw = termios.tcgetattr(descriptor)
    raw[0] &= ~(termios.ICRNL | termios.INLCR | termios.IGNCR | termios.IXON)
    raw[3] &= ~(termios.ICANON | termios.ECHO)
    raw[6][termios.VMIN], raw[6][termios.VTIME] = 1, 0
    try:
        termios.tcsetattr(descriptor, termios.TCSANOW, raw)
        yield _waiting(descriptor)
    finally:
        with suppress(termios.error):
            termios.tcsetattr(descriptor, termios.TCSANOW, before)


def _waiting(descriptor: int) -> str:
    """What can be read without waiting, up to the first key that is no character."""
    import fcntl
    import struct
    import termios

    (count,) = struct.unpack("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
    text = os.read(descriptor, count).decode("utf-8", "replace") if count else ""
    return text.partition("\x1b")[0]


def title(sequence: str) -> None:
    """Save or restore the terminal's title."""
    with suppress(OSError):
        os.write(sys.stderr.fileno(), sequence.encode())
