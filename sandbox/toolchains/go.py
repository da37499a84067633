"""Go: the toolchain on PATH, the modules that were downloaded, and the build cache."""

from __future__ import annotations

from pathlib import Path

from sandbox import hostfiles
from sandbox.errors import FileRefused
from sandbox.interpreters import Mount, Unusable, is_system
from sandbox.toolchains.machine import Found, Machine, is_program

_ENVIRONMENT = {"GOTOOLCHAIN": "local", "GOPROXY": "off"}
_PLACES = ("/usr/local/go", "/usr/lib/go")


def find_go(machine: Machine) -> Found:
    """Go, from GOROOT, PATH or its usual places."""
    caches = _caches(machine)
    try:
        root = _root(machine)
        mounts = machine.installation(root) if root else ()
    except Unusable as problem:
        return Found(why=f"no Go ({problem})", mounts=caches, env=_ENVIRONMENT)
    if root is None:
        return Found(why="no Go", mounts=caches, env=_ENVIRONMENT)
    # /usr/local/go/bin is a part of the system that is on nobody's PATH
    on_path = is_system(root) and (Path("/usr/bin/go").exists() or Path("/usr/local/bin/go").exists())
    path = () if on_path else (str(root / "bin"),)
    return Found(why=f"Go from {root}", mounts=(*mounts, *caches), path=path, env=_ENVIRONMENT)


def _root(machine: Machine) -> Path | None:
    program = machine.program("go")
    places = [program.resolve().parent.parent] if program else []
    for root in (Path(machine.environ.get("GOROOT", "")), *places, *map(Path, _PLACES)):
        if root.is_absolute() and is_program(root / "bin" / "go") and (root / "src" / "runtime").is_dir():
            return root
    return None


def _caches(machine: Machine) -> tuple[Mount, ...]:
    settings = {**_settings(machine), **{name: value for name, value in machine.environ.items() if value}}

    def place(variable: str, default: Path | None) -> Path | None:
        named = Path(settings.get(variable, ""))
        return named if named.is_absolute() else default

    workspace = place("GOPATH", machine.home and machine.home / "go")
    modules = place("GOMODCACHE", workspace and workspace / "pkg/mod")
    cache = machine.place("XDG_CACHE_HOME", ".cache")
    built = place("GOCACHE", cache and cache / "go-build")
    return (*machine.cache(modules, "go/pkg/mod"), *machine.cache(built, ".cache/go-build"))


def _settings(machine: Machine) -> dict[str, str]:
    """What `go env -w` has written."""
    folder = machine.place("XDG_CONFIG_HOME", ".config")
    try:
        text = hostfiles.read_bytes(folder or Path("/"), "go/env", 1 << 16).decode("utf-8", "replace")
    except (OSError, FileRefused):
        return {}
    pairs = (line.partition("=") for line in text.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}
