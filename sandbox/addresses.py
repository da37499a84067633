"""Where an engine may answer: what the environment names, the active docker context, and the usual sockets."""

from __future__ import annotations

import hashlib
import json
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sandbox.errors import SandboxUnavailable

DEFAULT_HOST = "unix:///var/run/docker.sock"
_LARGEST = 1 << 20  # bytes of a settings file


def address(host: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """The engine to use: `host`, else DOCKER_HOST, else the active context's, else the first socket that answers.

    The default socket when none does. SandboxUnavailable for a remote engine, and for a context that is not there.
    """
    named = host or environ.get("DOCKER_HOST") or _context_host(environ)
    if named:
        return _local(named)
    usual = list(sockets(environ))
    return next((found for found in usual if _answers(found)), _first_existing(usual))


def sockets(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """The addresses at which engines listen when nobody says otherwise: Docker's, then Podman's."""
    yield DEFAULT_HOST
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime):
        yield f"unix://{runtime}/docker.sock"
        yield f"unix://{runtime}/podman/podman.sock"
    yield "unix:///run/podman/podman.sock"


def _local(host: str) -> str:
    scheme = urlsplit(host).scheme
    if scheme == "unix" or (scheme == "tcp" and not os.environ.get("DOCKER_TLS_VERIFY")):
        return host
    raise SandboxUnavailable(
        f"the Docker engine at {host} is remote: it cannot mount the workspace",
        hint="set DOCKER_HOST to an engine on this machine, or use --sandbox bubblewrap",
    )


def _answers(host: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(urlsplit(host).path)
        except OSError:
            return False
    return True


def _first_existing(hosts: list[str]) -> str:
    """Of sockets that all refuse, the one whose refusal says most."""
    return next((host for host in hosts if os.path.exists(urlsplit(host).path)), DEFAULT_HOST)


def _context_host(environ: Mapping[str, str]) -> str:
    """The address of the context in use (docs.docker.com, "Docker contexts"); empty for the default one."""
    home = environ.get("DOCKER_CONFIG") or os.path.join(environ.get("HOME") or "/", ".docker")
    name = environ.get("DOCKER_CONTEXT") or _read(Path(home, "config.json")).get("currentContext")
    if not isinstance(name, str) or name in ("", "default"):
        return ""
    digest = hashlib.sha256(name.encode()).hexdigest()
    meta = _read(Path(home, "contexts", "meta", digest, "meta.json"))
    try:
        return str(meta["Endpoints"]["docker"]["Host"])
    except (KeyError, TypeError):
        raise SandboxUnavailable(
            f"the docker context {name!r} names no engine",
            hint="docker context use default, or set DOCKER_HOST",
        ) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = json.loads(file.read(_LARGEST))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
