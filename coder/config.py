"""Configuration: defaults < user file < project file (safe keys only) < environment < flags.

Every value knows the layer that it came from. The project file belongs to the repository, which is hostile:
it may set only what cannot hurt the user, and anything else in it is an error that names the key.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from coder.errors import ConfigError

PROJECT_FILE = ".coder.toml"
MAX_FILE_BYTES = 64 * 1024


def _setting(
    key: str, default: Any, text: str, *, env: tuple[str, ...] = (), project: bool = False, choices: Any = ()
) -> Any:
    meta = {"key": key, "help": text, "env": env, "project": project, "choices": choices}
    return field(default=default, metadata=meta)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of a run. `layers` maps a field's name to the layer that set it."""

    base_url: str = _setting(
        "model.base_url",
        "",
        "The model server, such as http://127.0.0.1:8000/v1; without it local ports are probed.",
        env=("CODER_BASE_URL", "OPENAI_BASE_URL"),
    )
    model: str = _setting(
        "model.name", "", "The model's name on the server; without it the first.", env=("CODER_MODEL",)
    )
    api_key: str = _setting(
        "model.api_key", "", "The server's key, where it wants one.", env=("CODER_API_KEY", "OPENAI_API_KEY")
    )
    profile: str = _setting("model.profile", "", "A profile's name; without it chosen by the model's name.")
    thinking: str = _setting("model.thinking", "", "off, low, full, or a number of tokens.", project=True)
    sandbox: str = _setting(
        "sandbox.kind", "auto", "auto, docker or bubblewrap.", choices=("auto", "docker", "bubblewrap")
    )
    image: str = _setting("sandbox.image", "", "The Docker image that commands run in.", project=True)
    test: str = _setting("tests.command", "", "The test command; without it pytest.", project=True)
    strategy: str = _setting(
        "fix.strategy",
        "auto",
        "auto (the profile decides), agent or repair.",
        project=True,
        choices=("auto", "agent", "repair"),
    )
    max_turns: int = _setting("limits.turns", 100, "Model requests in one run.", project=True)
    max_tokens: int = _setting(
        "limits.tokens", 0, "Prompt and completion tokens in one run, together; 0 is no cap.", project=True
    )
    timeout: float = _setting("limits.seconds", 3600.0, "Wall time of one run.", project=True)
    command_timeout: float = _setting("limits.command_seconds", 120.0, "Time for one command.", project=True)
    test_timeout: float = _setting("limits.test_seconds", 600.0, "Time for the test suite.", project=True)
    layers: Mapping[str, str] = field(default_factory=dict)

    def layer(self, name: str) -> str:
        """Where the value of field `name` came from: default, a file's path, a variable's name, or flag."""
        return self.layers.get(name, "default")


SETTINGS = {f.name: f for f in fields(Config) if "key" in f.metadata}
_BY_KEY = {f.metadata["key"]: name for name, f in SETTINGS.items()}


def load(
    *,
    project: Path | None,
    flags: Mapping[str, Any],
    environ: Mapping[str, str],
    user_file: Path | None = None,
) -> Config:
    """The configuration from all layers. Raises ConfigError that names the file or variable and the key."""
    values: dict[str, Any] = {}
    layers: dict[str, str] = {}

    def take(found: Mapping[str, Any], where: Mapping[str, str]) -> None:
        values.update(found)
        layers.update(where)

    user_file = user_file or default_user_file(environ)
    take(*_from_file(user_file, safe_only=False))
    if project is not None:
        take(*_from_file(project / PROJECT_FILE, safe_only=True))
    take(*_from_environment(environ))
    given = {name: value for name, value in flags.items() if value is not None}
    take({name: _checked(name, value, "flag") for name, value in given.items()}, dict.fromkeys(given, "flag"))
    return Config(**values, layers=layers)


def default_user_file(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/") / ".config"
    return Path(base) / "coder" / "config.toml"


def _from_file(path: Path, *, safe_only: bool) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    for key, value in _flatten(_read_toml(path, links=not safe_only)).items():
        name = _BY_KEY.get(key)
        if name is None:
            raise ConfigError(f"{path} sets {key}, which is no setting", hint=_nearest(key))
        if safe_only and not SETTINGS[name].metadata["project"]:
            raise ConfigError(
                f"{path} sets {key}, which a project file may not",
                hint="Set it in your own configuration file, in the environment, or as a flag.",
            )
        values[name] = _checked(name, value, str(path))
    return values, dict.fromkeys(values, str(path))


def _read_toml(path: Path, *, links: bool) -> dict[str, Any]:
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


def _flatten(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat.update(_flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value})
    return flat


def _nearest(key: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(key, _BY_KEY, n=1)
    return f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(sorted(_BY_KEY))}."


def _from_environment(environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    layers: dict[str, str] = {}
    for name, setting in SETTINGS.items():
        for variable in setting.metadata["env"]:
            if environ.get(variable):
                values[name] = _checked(name, environ[variable], variable)
                layers[name] = variable
                break
    return values, layers


def _checked(name: str, value: Any, where: str) -> Any:
    setting = SETTINGS[name]
    key, choices, default = setting.metadata["key"], setting.metadata["choices"], setting.default
    if name == "thinking" and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    wanted: Any = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ConfigError(f"{where}: {key} must be {_kind(default)}, not {value!r}")
    if choices and value not in choices:
        raise ConfigError(f"{where}: {key} must be one of {', '.join(choices)}, not {value!r}")
    if isinstance(value, int | float) and value < 0:
        raise ConfigError(f"{where}: {key} must not be negative")
    if name == "thinking" and value not in ("", "off", "low", "full") and not value.isdigit():
        raise ConfigError(f"{where}: {key} must be off, low, full or a number of tokens, not {value!r}")
    return float(value) if isinstance(default, float) else value


def _kind(default: Any) -> str:
    return {str: "text", int: "a whole number", float: "a number of seconds"}[type(default)]
