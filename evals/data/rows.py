"""A row of a data set as an instance. Shapes differ in names and forms; what is not known is kept.

Known: SWE-bench, Lite, Verified and Multilingual (the twelve fields, lists as JSON text; swebench 5.x adds `image`,
`eval_script`, `log_parser`, `eval_type`), SWE-bench Pro (lower-case lists, `dockerhub_tag`), SWE-rebench (`docker_image` or
`image_name`, `install_config`), SWE-Gym (lists), SWE-smith (`patch` is the bug, `image_name`, no `test_patch`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from coder.errors import UsageError
from evals.instance import Instance, Recipe, Source

_NAMES = {
    "id": ("instance_id", "id"),
    "statement": ("problem_statement", "statement"),
    "repo": ("repo", "repository"),
    "base_commit": ("base_commit",),
    "version": ("version",),
    "gold": ("patch", "gold_patch"),
    "test_patch": ("test_patch",),
    "fail_to_pass": ("FAIL_TO_PASS", "fail_to_pass"),
    "pass_to_pass": ("PASS_TO_PASS", "pass_to_pass"),
    "difficulty": ("difficulty",),
    "image": ("image", "docker_image", "image_name"),
    "eval_script": ("eval_script",),
    "log_parser": ("log_parser",),
    "eval_type": ("eval_type",),
}
_LISTS = ("fail_to_pass", "pass_to_pass")
_RULE = "docker.io/swebench/sweb.eval.x86_64.{id}:latest"
"""SWE-bench's own names of images, with `__` of an id as `_1776_` (mini-swe-agent 2.4 knows the same rule)."""


def instance(row: Mapping[str, Any], environment: Mapping[str, Any] | None = None) -> Instance:
    """Raises UsageError, which names the field, for a row that cannot be a task. `environment` says how its environment
    is made, where the row does not (`environment`)."""
    found: dict[str, Any] = {}
    used = {"environment"}
    for field, names in _NAMES.items():
        name = next((name for name in names if row.get(name) not in (None, "")), "")
        used |= set(names)
        if name:
            found[field] = _names(row[name], name) if field in _LISTS else _text(row[name], name)
    for needed in ("id", "statement"):
        if needed not in found:
            raise UsageError(f"it has no {_NAMES[needed][0]}")
    made = environment or row.get("environment")
    if not found.get("image") and "dockerhub_tag" in row:
        found["image"] = f"jefzda/sweap-images:{row['dockerhub_tag']}"
    elif not found.get("image") and made is None and "__" in found["id"]:
        found["image"] = _RULE.format(id=found["id"].replace("__", "_1776_").lower())
    recipe = _recipe(made) if made is not None else None
    if recipe is None and isinstance(config := row.get("install_config"), dict):
        found.setdefault("log_parser", str(config.get("log_parser", "")))
    if not found.get("difficulty") and isinstance(made, Mapping):
        found["difficulty"] = str(made.get("difficulty", ""))
    if is_smith(row):
        found["gold"] = reverse(found.get("gold", ""))
    extra = {name: value for name, value in row.items() if name not in used}
    return Instance(**found, recipe=recipe, extra=extra)


def is_smith(row: Mapping[str, Any]) -> bool:
    """SWE-smith's `patch` puts the bug in; it has no tests of its own to add."""
    return "image_name" in row and "test_patch" not in row and "FAIL_TO_PASS" in row


def _text(value: Any, name: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        return str(value)
    raise UsageError(f"{name} must be text")


def _names(value: Any, name: str) -> tuple[str, ...]:
    """A list of tests, or its JSON text."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise UsageError(f"{name} must be a list, or the JSON text of one") from None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise UsageError(f"{name} must be a list of names")
    return tuple(dict.fromkeys(value))


def _recipe(made: Any) -> Recipe:
    if not isinstance(made, Mapping) or not isinstance(source := made.get("source"), Mapping):
        raise UsageError("environment must be a table with a source")
    kind = str(source.get("kind") or source.get("type") or "").removeprefix("pypi_")
    if kind not in ("sdist", "git", "directory"):
        raise UsageError(f"environment.source: there is no kind {kind!r}: sdist, git or directory")
    wanted = ("name", "version", "file", "sha256", "path", "commit")
    texts = {name: str(source.get(name) or "") for name in wanted}
    pythonpath = made.get("pythonpath")
    return Recipe(
        source=Source(kind=kind, **texts),
        python=str(made.get("python") or ""),
        pins=tuple(str(pin) for pin in made.get("pins") or ()),
        editable=bool(made.get("editable")),
        pythonpath=None if pythonpath is None else str(pythonpath),
        env={str(name): str(value) for name, value in (made.get("env") or {}).items()},
        test_command=str(made.get("test_command") or made.get("test_cmd") or ""),
        toolchain=str(made.get("toolchain") or "python"),
    )


def reverse(patch: str) -> str:
    """The patch that takes `patch` back: added lines removed, the other way round, and the two files changed over."""
    lines = []
    for line in patch.splitlines():
        if line.startswith("--- "):
            lines.append("+++ " + line[4:].replace("a/", "b/", 1))
        elif line.startswith("+++ "):
            lines.insert(len(lines) - 1, "--- " + line[4:].replace("b/", "a/", 1))
        elif line.startswith("@@ "):
            old, new, rest = line[3:].split(" ", 2)
            lines.append(f"@@ -{new[1:]} +{old[1:]} {rest}")
        elif line[:1] in ("+", "-"):
            lines.append({"+": "-", "-": "+"}[line[0]] + line[1:])
        else:
            lines.append(line)
    return "\n".join(lines) + "\n" if lines else ""
