"""Reading a data set: a file, a set on a hub, or a suite that ships."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from coder.errors import UsageError
from evals.data.rows import instance
from evals.instance import Dataset, Instance

HUB = "hub:"
ENVIRONMENTS = "env.json"
"""Beside a data set's file: how the environment of each instance is made (`{"instances": {ID: …}}`)."""


def load(name: str) -> Dataset:
    """The instances of `name`: a .jsonl, .json or .parquet file, `hub:OWNER/NAME[:SPLIT]`, or a suite that ships.

    Raises UsageError, which names file, line and field.
    """
    from evals import suites

    if name.startswith(HUB):
        return _from_hub(name)
    path = Path(name).expanduser()
    if not path.exists() and (suite := suites.load(name)) is not None:
        return suite
    if not path.is_file():
        known = ", ".join(suites.names())
        raise UsageError(
            f"there is no data set {name}", hint=f"Name a file, hub:OWNER/NAME, or a suite: {known}."
        )
    try:
        data = path.read_bytes()
        return _dataset(name, hashlib.sha256(data).hexdigest(), _rows(path, data), _environments(path))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error


def _dataset(
    name: str, sha256: str, rows: Iterable[tuple[str, Any]], environments: Mapping[str, Any]
) -> Dataset:
    instances: dict[str, Instance] = {}
    for where, row in rows:
        if not isinstance(row, Mapping):
            raise UsageError(f"{where}: a row must be an object")
        try:
            made = instance(row, environments.get(str(row.get("instance_id", ""))))
        except UsageError as error:
            raise UsageError(f"{where}: {error}", hint=error.hint) from error
        if made.id in instances:
            raise UsageError(f"{where}: {made.id} is there twice")
        instances[made.id] = made
    if not instances:
        raise UsageError(f"{name} has no instances")
    return Dataset(name=name, sha256=sha256, instances=tuple(instances.values()))


def _rows(path: Path, data: bytes) -> list[tuple[str, Any]]:
    match path.suffix:
        case ".jsonl":
            lines = data.decode("utf-8", "replace").splitlines()
            return [
                (f"{path}:{number}", _json(line, f"{path}:{number}"))
                for number, line in enumerate(lines, 1)
                if line.strip()
            ]
        case ".json":
            found = _json(data.decode("utf-8", "replace"), str(path))
            rows = list(found.values()) if isinstance(found, dict) else found
            if not isinstance(rows, list):
                raise UsageError(f"{path}: must hold a list of rows, or an object of them by id")
            return [(f"{path}, row {number}", row) for number, row in enumerate(rows, 1)]
        case ".parquet":
            return _from_parquet(path)
    raise UsageError(f"{path}: must be .jsonl, .json or .parquet")


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise UsageError(f"{where}: is no JSON: {error}") from error


def _environments(path: Path) -> Mapping[str, Any]:
    beside = path.with_name(ENVIRONMENTS)
    if not beside.is_file():
        return {}
    found = _json(beside.read_text("utf-8", "replace"), str(beside))
    made = found.get("instances") if isinstance(found, dict) else None
    if not isinstance(made, dict):
        raise UsageError(f"{beside}: must hold an object `instances`")
    return made


def _from_parquet(path: Path) -> list[tuple[str, Any]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UsageError(
            f"{path} needs the package of the extra `parquet`", hint="pip install 'nemotron-coder[parquet]'"
        ) from None
    rows = parquet.read_table(path).to_pylist()
    return [(f"{path}, row {number}", row) for number, row in enumerate(rows, 1)]


def _from_hub(name: str) -> Dataset:
    try:
        from datasets import load_dataset
    except ImportError:
        raise UsageError(
            f"{name} needs the package of the extra `hub`",
            hint="pip install 'nemotron-coder[hub]', or name a file",
        ) from None
    where, _, split = name.removeprefix(HUB).partition(":")
    rows = [dict(row) for row in load_dataset(where, split=split or "test")]
    digest = hashlib.sha256(json.dumps(rows, sort_keys=True, default=str).encode()).hexdigest()
    return _dataset(name, digest, [(f"{name}, row {n}", row) for n, row in enumerate(rows, 1)], {})
