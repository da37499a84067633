"""Rust: a toolchain of rustup's or the system's, and the crates that cargo has downloaded."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

from sandbox import hostfiles
from sandbox.errors import FileRefused
from sandbox.interpreters import Mount, Unusable, is_system
from sandbox.toolchains.machine import Found, Machine, is_program

_ENVIRONMENT = {"CARGO_NET_OFFLINE": "true"}
_CACHES = ("registry", "git")
"""In cargo's home, beside `credentials.toml` and `config.toml`, which are never shown."""


def find_rust(machine: Machine) -> Found:
    """The toolchain that rustup would choose, else cargo on PATH."""
    home = machine.place("CARGO_HOME", ".cargo")
    caches: list[Mount] = []
    if home is not None:
        for name in _CACHES:
            caches += machine.cache(home / name, f".cargo/{name}")
    try:
        prefix, note = _prefix(machine)
        mounts = machine.installation(prefix) if prefix else ()
        programs = machine.installation(home / "bin") if home and (home / "bin").is_dir() else ()
    except Unusable as problem:
        return Found(why=f"no Rust ({problem})", mounts=tuple(caches), env=_ENVIRONMENT)
    if prefix is None:
        return Found(why=f"no Rust{note}", mounts=tuple(caches), env=_ENVIRONMENT)
    # the toolchain's own cargo comes before rustup's, which would want all of ~/.rustup
    path = () if is_system(prefix) else (str(prefix / "bin"),)
    if home is not None and programs:
        path = (*path, str(home / "bin"))
    return Found(
        why=f"Rust from {prefix}{note}", mounts=(*mounts, *programs, *caches), path=path, env=_ENVIRONMENT
    )


def _prefix(machine: Machine) -> tuple[Path | None, str]:
    rustup = machine.place("RUSTUP_HOME", ".rustup")
    if rustup is not None and (rustup / "toolchains").is_dir():
        installed = sorted(os.listdir(rustup / "toolchains"))
        settings = _settings(rustup)
        wanted = machine.environ.get("RUSTUP_TOOLCHAIN") or _override(settings, machine.repository)
        wanted = wanted or _channel(machine)
        chosen = _match(wanted, installed)
        note = f" (passed over: {wanted!r} is not installed)" if wanted and not chosen else ""
        default = str(settings.get("default_toolchain", ""))
        name = chosen or _match(default, installed) or next(iter(installed), "")
        prefix = rustup / "toolchains" / name
        if name and is_program(prefix / "bin" / "cargo"):
            return prefix, note
    program = machine.program("cargo")
    # rustup calls itself `cargo` too, in a directory with passwords
    if program is not None and ((prefix := program.resolve().parent.parent) / "lib/rustlib").is_dir():
        return prefix, ""
    return None, ""


def _settings(rustup: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(hostfiles.read_bytes(rustup, "settings.toml", 1 << 20).decode())
    except (OSError, FileRefused, ValueError):
        return {}


def _override(settings: dict[str, Any], repository: Path) -> str:
    """What `rustup override set` says of the repository or of a directory around it."""
    overrides = settings.get("overrides")
    if not isinstance(overrides, dict):
        return ""
    return next(
        (str(overrides[str(at)]) for at in (repository, *repository.parents) if str(at) in overrides), ""
    )


def _channel(machine: Machine) -> str:
    """What the repository's `rust-toolchain.toml` or `rust-toolchain` asks for."""
    for name in ("rust-toolchain.toml", "rust-toolchain"):
        text = machine.wanted(name)
        try:
            channel = tomllib.loads(text)["toolchain"]["channel"]
        except (ValueError, KeyError, TypeError, RecursionError):
            words = text.split()
            channel = words[0] if len(words) == 1 else ""
        if channel:
            return str(channel)[:100]
    return ""


def _match(wanted: str, installed: list[str]) -> str:
    """The installed toolchain that a name such as `stable` or `1.80` stands for; empty when there is none."""
    if not wanted:
        return ""
    if wanted in installed:
        return wanted
    return next((name for name in installed if name.startswith((f"{wanted}-", f"{wanted}."))), "")
