"""Reading a configuration file that may be hostile."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from coder.errors import ConfigError

MAX_FILE_BYTES = 64 * 1024


def read_toml(path: Path, *, links: bool) -> dict[str, Any]:
    """A project file is opened without following links or waiting on a pipe: the repository is hostile."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | (0 if links else os.O_NOFOLLOW)
    try:
        with open(os.open(path, flags), "rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
