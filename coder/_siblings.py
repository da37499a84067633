"""Pins the sibling packages to the folder that holds `coder`, whatever the current directory contains.

`sandbox`, `tools` and `evals` are generic names, and this program is started inside strangers' repositories.
With `PYTHONPATH=.` or `python -m coder`, a repository's own `tools/__init__.py` would come first on
`sys.path` and run on the host, outside every sandbox. A finder at the head of `sys.meta_path` closes that.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

SIBLINGS = frozenset({"sandbox", "tools", "evals"})
_HOME = str(Path(__file__).resolve().parent.parent)


class _SiblingFinder:
    """Answers for the siblings alone; everything else is left to Python."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in SIBLINGS:
            return None
        spec = PathFinder.find_spec(name, [_HOME], target)
        if spec is None:
            raise ModuleNotFoundError(f"{name!r} is not beside coder in {_HOME}", name=name)
        return spec


def pin() -> None:
    """Install the guard. A sibling that was already imported from elsewhere is forgotten first."""
    if not any(isinstance(finder, _SiblingFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _SiblingFinder())
    for name in [name for name in sys.modules if name.partition(".")[0] in SIBLINGS]:
        root = sys.modules.get(name.partition(".")[0])
        file = getattr(root, "__file__", None)
        if file is None or Path(file).resolve().parent.parent != Path(_HOME):
            del sys.modules[name]
