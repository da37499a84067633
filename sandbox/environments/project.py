"""Reading what a project says of itself. Every file may be hostile: it is read under a cap, and nothing is run."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import hostfiles
from sandbox.errors import FileRefused, ManifestProblem

_LARGEST = 8 << 20
_HEAD = 4096
_DIRECTORIES = 2_000
_NOT_OURS = frozenset(("node_modules", "target", "vendor", "build", "dist", "venv", "env", "third_party"))

# Names of test files by language; for Java and Rust also directories
_TESTS: Mapping[str, re.Pattern[str]] = {
    "python": re.compile(r"(test_.*|.*_test|tests?)\.py"),
    "node": re.compile(r".*[._-](test|spec)\.[cm]?[jt]sx?|tests?\.[cm]?[jt]s"),
    "go": re.compile(r".*_test\.go"),
    "java": re.compile(r".*Tests?\.(java|kt|groovy)"),
    "rust": re.compile(r".*\.rs"),
}


@dataclass(frozen=True, slots=True)
class Project:
    """The directory `root`, whose manifests are asked for by paths relative to it."""

    root: Path

    def has(self, path: str) -> bool:
        """Whether there is a regular file at `path`, perhaps behind links that stay in the project."""
        try:
            with hostfiles.opened(self.root, path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
                return hostfiles.kind_of(os.fstat(descriptor).st_mode) == "file"
        except (OSError, FileRefused):
            return False

    def present(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Those of `paths` that are files, in their order."""
        return tuple(path for path in paths if self.has(path))

    def text(self, path: str) -> str:
        """The content of a file; empty when there is none. Raises ManifestProblem for one that cannot be read."""
        try:
            return hostfiles.read_bytes(self.root, path, _LARGEST).decode("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except (OSError, FileRefused, UnicodeDecodeError) as error:
            raise ManifestProblem(f"{path} cannot be read: {error}") from error

    def head(self, path: str) -> str:
        """The first 4 KiB of a file, however large it is; empty when it cannot be read."""
        try:
            with hostfiles.opened(self.root, path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
                return os.read(descriptor, _HEAD).decode("utf-8", "replace")
        except (OSError, FileRefused):
            return ""

    def toml(self, path: str) -> dict[str, Any]:
        """A TOML file as a table; empty when there is none. Raises ManifestProblem."""
        try:
            return tomllib.loads(self.text(path))
        except (ValueError, RecursionError) as error:
            raise ManifestProblem(f"{path} is not valid TOML: {_reason(error)}") from error

    def json(self, path: str) -> dict[str, Any]:
        """A JSON file as an object; empty when there is none. Raises ManifestProblem."""
        text = self.text(path)
        try:
            value = json.loads(text) if text else {}
        except (ValueError, RecursionError) as error:
            raise ManifestProblem(f"{path} is not valid JSON: {_reason(error)}") from error
        if not isinstance(value, dict):
            raise ManifestProblem(f"{path} is not a JSON object")
        return value

    def directories(self, pattern: str) -> tuple[str, ...]:
        """Directories that a pattern such as `packages/*` names; `**` stands for one level only. No link is followed."""
        found = [""]
        for part in pattern.strip("/").split("/")[:6]:
            if part in ("", "."):
                continue
            if part == ".." or part == "node_modules":
                return ()
            fits = re.compile(re.escape(part).replace(r"\*\*", "[^/.][^/]*").replace(r"\*", "[^/]*"))
            found = [
                f"{above}/{name}".lstrip("/")
                for above in found
                for name in self._folders(above)
                if fits.fullmatch(name) and name != "node_modules"
            ]
        return tuple(found[:_DIRECTORIES])

    def _folders(self, path: str) -> list[str]:
        try:
            with (
                hostfiles.opened(self.root, path, os.O_RDONLY | os.O_DIRECTORY, links=False) as descriptor,
                os.scandir(descriptor) as entries,
            ):
                return sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (OSError, FileRefused):
            return []

    def tests(self) -> Counter[str]:
        """How many test files there are for each language, in the outer part of the tree."""
        count: Counter[str] = Counter()
        waiting, visited = [""], 0
        while waiting and visited < _DIRECTORIES:
            folder = waiting.pop(0)
            visited += 1
            for language, pattern in _TESTS.items():
                count[language] += sum(1 for name in self._files(folder) if pattern.fullmatch(name))
            waiting += [
                f"{folder}/{name}".lstrip("/")
                for name in self._folders(folder)
                if name not in _NOT_OURS and not name.startswith(".")
            ]
        return count

    def _files(self, path: str) -> list[str]:
        try:
            with (
                hostfiles.opened(self.root, path, os.O_RDONLY | os.O_DIRECTORY, links=False) as descriptor,
                os.scandir(descriptor) as entries,
            ):
                return [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
        except (OSError, FileRefused):
            return []


def table(value: object, *keys: str) -> dict[str, Any]:
    """The table at `keys` in what a file said; empty where there is something else."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def strings(value: object) -> list[str]:
    """The strings of what should be a list of them."""
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _reason(error: Exception) -> str:
    return "nested too deep" if isinstance(error, RecursionError) else str(error)
