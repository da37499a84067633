"""Where this process and the libraries in it look programs up: never in the repository that they work on."""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from pathlib import Path


def top_of(directory: Path) -> Path | None:
    """The folder with `.git` around `directory` (or itself); None outside of any repository."""
    return next((folder for folder in (directory, *directory.parents) if (folder / ".git").exists()), None)


def keep_out(directory: Path, environ: MutableMapping[str, str] = os.environ) -> None:
    """Take out of PATH whatever lies in the repository around `directory` (or in it), and what is relative.

    Somebody may have been talked into such a PATH (a `.envrc`, a `bin/` with tools), and libraries run programs of
    their own accord: the client of the model's API asks `uname` and `lsb_release` what machine this is. A home
    directory is nobody's repository.
    """
    here = Path(os.path.realpath(directory))
    top = top_of(here) or here
    anywhere = top in (Path("/"), Path(os.path.realpath(Path.home())))
    kept = [
        entry
        for entry in environ.get("PATH", os.defpath).split(os.pathsep)
        if os.path.isabs(entry) and (anywhere or not Path(os.path.realpath(entry)).is_relative_to(top))
    ]
    environ["PATH"] = os.pathsep.join(kept) or os.defpath
