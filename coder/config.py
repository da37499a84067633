"""Configuration: defaults < user file < project file (safe keys only) < environment < flags.

Every value knows the layer that it came from. The project file belongs to the repository, which is hostile:
it may set only what cannot hurt the user, and anything else in it is an error that names the key.

In the user's file alone, several servers can be named and given to roles; `coder.model.roles` puts them together:

    [endpoints.big]       base_url, model, api_key, profile
    [roles.engineer]      endpoint, model, thinking, routine

and the window's keys be changed: `[keys]`, where each action has a key or a list of them (`coder.tui.keymap`).

How a project's dependencies are set up stands in its own file; nothing of it runs before the user agreed to it.
The user's file alone names variables of the user that a set-up may see:

    [environment]         image, dockerfile, context, target, setup, inputs, env, path, python    (project)
                          pass                                                                    (user)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, TypeVar

from coder.errors import ConfigError
from coder.setup_table import EnvironmentSettings, environment_of, passed_by
from coder.tomlfile import read_toml

PROJECT_FILE = ".coder.toml"
ENGINEER, REVIEWER = "engineer", "reviewer"
ROLES = (ENGINEER, REVIEWER)

S = TypeVar("S", "EndpointSettings", "RoleSettings")


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """A server that roles can be given. Empty values are found out: the first model, the profile that fits it."""

    base_url: str
    model: str = ""
    api_key: str = field(default="", repr=False)
    profile: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What a role has of its own. `endpoint` is a name among the endpoints; `thinking` and `routine` are levels."""

    endpoint: str = ""
    model: str = ""
    thinking: str = ""
    routine: str = ""


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
    routine: str = _setting(
        "model.routine", "", "The same, for steps after which nothing failed.", project=True
    )
    sandbox: str = _setting(
        "sandbox.kind", "auto", "auto, docker or bubblewrap.", choices=("auto", "docker", "bubblewrap")
    )
    image: str = _setting("sandbox.image", "", "The Docker image that commands run in.", project=True)
    runtime: str = _setting(
        "sandbox.runtime",
        "",
        "The Docker engine's runtime for containers, such as runsc; its default otherwise.",
    )
    allow_hosts: tuple[str, ...] = _setting(
        "sandbox.allow_hosts",
        (),
        "Hosts that commands may reach by HTTP and HTTPS: HOST, HOST:PORT, *.DOMAIN; none by default.",
    )
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
    runs_later: str = _setting(
        "gates.runs_later",
        "refuse",
        "allow lets a change touch what runs by itself later: CI workflows, hooks, build scripts.",
        choices=("refuse", "allow"),
    )
    candidates: int = _setting(
        "fix.candidates",
        1,
        "Attempts side by side, from which one is chosen; up to 8.",
        project=True,
        choices=range(1, 9),
    )
    reviewer: str = _setting(
        "review.reviewer",
        "auto",
        "on has each change reviewed before it counts; auto does where [roles.reviewer] is set.",
        choices=("auto", "on", "off"),
    )
    review_samples: int = _setting(
        "review.samples", 3, "Reviews of one change, weighed together.", choices=range(1, 21)
    )
    theme: str = _setting("window.theme", "", "The window's colours; /theme shows what there is.")
    mouse: str = _setting(
        "window.mouse", "on", "off leaves the mouse to the terminal.", choices=("on", "off")
    )
    scrollback: str = _setting(
        "window.scrollback", "on", "Whether the transcript stays in the terminal.", choices=("on", "off")
    )
    keys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    endpoints: Mapping[str, EndpointSettings] = field(default_factory=dict)
    roles: Mapping[str, RoleSettings] = field(default_factory=dict)
    environment: EnvironmentSettings | None = None
    """From the project's file; None when it says nothing."""
    passed: tuple[str, ...] = ()
    """Names of the user's variables that a set-up sees."""
    layers: Mapping[str, str] = field(default_factory=dict)

    def layer(self, name: str) -> str:
        """Where the value of field `name` came from: default, a file's path, a variable's name, or flag."""
        return self.layers.get(name, "default")

    def for_this_run(self, name: str) -> bool:
        """Whether field `name` was set by a flag or a variable: for this run, above everything in files."""
        return self.layer(name) in ("flag", *SETTINGS[name].metadata["env"])


SETTINGS = {f.name: f for f in fields(Config) if "key" in f.metadata}
_BY_KEY = {f.metadata["key"]: name for name, f in SETTINGS.items()}
_LEVELS = ("thinking", "routine")
_TABLES = ("endpoints", "roles", "keys")


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
    user = read_toml(user_file, links=True)
    endpoints, roles = _endpoints_and_roles(user, user_file)
    passed = passed_by(user.pop("environment", {}), user_file)
    environment = None
    keys = _keys(user, user_file)
    take(*_from_file(user, user_file, safe_only=False))
    layers.update(
        {key: str(user_file) for key, found in zip(_TABLES, (endpoints, roles, keys), strict=True) if found}
    )
    if project is not None:
        path = project / PROJECT_FILE
        table = read_toml(path, links=False)
        environment = environment_of(table.pop("environment", None), path)
        take(*_from_file(table, path, safe_only=True))
    take(*_from_environment(environ))
    given = {name: value for name, value in flags.items() if value not in (None, ())}
    take({name: _checked(name, value, "flag") for name, value in given.items()}, dict.fromkeys(given, "flag"))
    return Config(
        **values,
        endpoints=endpoints,
        roles=roles,
        keys=keys,
        environment=environment,
        passed=passed,
        layers=layers,
    )


def default_user_file(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME") or "/") / ".config"
    return Path(base) / "coder" / "config.toml"


def _endpoints_and_roles(
    user: dict[str, Any], path: Path
) -> tuple[dict[str, EndpointSettings], dict[str, RoleSettings]]:
    """Take both tables out of what the user's file says."""
    endpoints, roles = user.pop("endpoints", {}), user.pop("roles", {})
    for key, table in {"endpoints": endpoints, "roles": roles}.items():
        if not isinstance(table, dict):
            raise ConfigError(f"{path}: {key} must be a table of tables, as in [{key}.name]")
    for name in roles:
        if name not in ROLES:
            raise ConfigError(f"{path}: there is no role {name}", hint=f"The roles are {', '.join(ROLES)}.")
    served = {
        name: _table(EndpointSettings, f"endpoints.{name}", endpoints[name], path) for name in endpoints
    }
    given = {name: _table(RoleSettings, f"roles.{name}", roles[name], path) for name in roles}
    for name, role in given.items():
        if role.endpoint and role.endpoint not in served:
            known = f"Known are {', '.join(served)}." if served else "The file names none: [endpoints.name]."
            raise ConfigError(
                f"{path}: roles.{name}.endpoint: there is no endpoint {role.endpoint!r}", hint=known
            )
    return served, given


def _keys(user: dict[str, Any], path: Path) -> dict[str, tuple[str, ...]]:
    """Take the table of keys out of what the user's file says. Which actions there are, the window knows."""
    table = user.pop("keys", {})
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: keys must be a table, as in [keys]")
    found = {}
    for action, given in table.items():
        keys = [given] if isinstance(given, str) else given
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ConfigError(f'{path}: keys.{action} must be a key or a list of keys, as in ["ctrl+p"]')
        found[action] = tuple(keys)
    return found


def _table(kind: type[S], key: str, table: object, path: Path) -> S:
    """One endpoint or role. All values are text; levels may be numbers."""
    if not isinstance(table, dict):
        raise ConfigError(f"{path}: {key} must be a table, as in [{key}]")
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}
    for name in table:
        if name not in known:
            raise ConfigError(
                f"{path} sets {key}.{name}, which is no setting", hint=f"Known are {', '.join(known)}."
            )
    for name, each in known.items():
        if each.default is MISSING and not table.get(name):
            raise ConfigError(f"{path}: {key}.{name} is missing")
    return kind(**{name: _text(f"{key}.{name}", name, value, str(path)) for name, value in table.items()})


def _from_file(
    table: dict[str, Any], path: Path, *, safe_only: bool
) -> tuple[dict[str, Any], dict[str, str]]:
    values: dict[str, Any] = {}
    for key, value in _flatten(table).items():
        name = _BY_KEY.get(key)
        if name is None and key.split(".")[0] not in _TABLES:
            raise ConfigError(f"{path} sets {key}, which is no setting", hint=_nearest(key))
        if name is None or (safe_only and not SETTINGS[name].metadata["project"]):
            raise ConfigError(
                f"{path} sets {key}, which a project file may not",
                hint="Set it in your own configuration file, in the environment, or as a flag.",
            )
        values[name] = _checked(name, value, str(path))
    return values, dict.fromkeys(values, str(path))


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
    if isinstance(default, str):
        value = _text(key, name, value, where)
    if isinstance(default, tuple):
        return _hosts(key, value, where)
    wanted: Any = (int, float) if isinstance(default, float) else type(default)
    if not isinstance(value, wanted) or isinstance(value, bool):
        raise ConfigError(f"{where}: {key} must be {_kind(default)}, not {value!r}")
    if choices and value not in choices:
        raise ConfigError(f"{where}: {key} must be one of {', '.join(map(str, choices))}, not {value!r}")
    if isinstance(value, int | float) and value < 0:
        raise ConfigError(f"{where}: {key} must not be negative")
    return float(value) if isinstance(default, float) else value


def _text(key: str, name: str, value: Any, where: str) -> str:
    """The value of a setting that is text; a level of thinking may be a number and must be one that we know."""
    if name in _LEVELS and isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key} must be {_kind('')}, not {value!r}")
    if (
        name in _LEVELS
        and value not in ("", "off", "low", "full")
        and not (value.isascii() and value.isdigit())
    ):
        raise ConfigError(f"{where}: {key} must be off, low, full or a number of tokens, not {value!r}")
    return value


def _hosts(key: str, value: Any, where: str) -> tuple[str, ...]:
    from sandbox.destinations import Malformed, parse_rule

    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise ConfigError(f"{where}: {key} must be a list of hosts, not {value!r}")
    try:
        return tuple(str(parse_rule(each)) for each in value)
    except Malformed as error:
        raise ConfigError(f"{where}: {key}: {error}") from error


def _kind(default: Any) -> str:
    return {str: "text", int: "a whole number", float: "a number of seconds"}[type(default)]
