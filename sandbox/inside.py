"""What a bubblewrap sandbox looks like inside, as options for bwrap."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import layers, mountpoints
from sandbox.base import WORKDIR, Policy
from sandbox.command import GITCONFIG, HOME
from sandbox.mountpoints import Point
from sandbox.toolchain import Toolchain

PROGRAMS = "/etc/coder"
"""The last directory of PATH inside: `python`, where the system has only `python3`."""
STAGES = ("/mnt", "/media", "/srv", "/tmp")  # noqa: S108 - covered by a mount of our own, never written to

# Nothing here says who the user is or what they may do: no pip.conf, no npmrc, no resolv.conf, no shadow.
_ETC_FILES = (
    "debian_version", "ld.so.cache", "ld.so.conf", "localtime", "magic", "maven/logging/simplelogger.properties",
    "maven/m2.conf", "mime.types", "os-release", "pki/tls/openssl.cnf", "protocols", "services", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
_ETC_DIRECTORIES = (
    "alternatives", "crypto-policies", "fonts", "ld.so.conf.d", "perl", "pki/ca-trust", "pki/tls/certs", "ssl/certs"
)  # fmt: skip
_ETC_LARGEST = 4 << 20
# An installation's own settings, often with the password of a registry, and what in /etc is shown for them
_CREDENTIALS = {
    "pip.conf": "empty",
    "uv.toml": "empty",
    ".condarc": "empty",
    "etc/npmrc": "empty",
    "lib/node_modules/npm/npmrc": "empty",
    "conf/settings.xml": "maven/settings.xml",
}
_MERGED = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_STORES = ("/nix/store", "/gnu/store")


@dataclass(slots=True)
class Stage:
    """Where bwrap finds the host's files: where they are, or where the launcher shows them (`directory`/0, …)."""

    directory: str | None
    sources: list[str] = field(default_factory=list)

    @classmethod
    def here(cls) -> Stage:
        """As root the launcher shows them: bwrap itself runs as a user who may not reach them."""
        if os.getuid() != 0:
            return cls(None)
        return cls(next(d for d in STAGES if os.path.isdir(d) and not os.path.islink(d)))

    def path(self, source: Path) -> str:
        """The path to give to bwrap for `source`."""
        if self.directory is None:
            return str(source)
        if str(source) not in self.sources:
            self.sources.append(str(source))
        return f"{self.directory}/{self.sources.index(str(source))}"


def make_etc(directory: Path, uid: int, gid: int) -> None:
    """Fill `directory` with what will be /etc: copies of harmless small files, places for mounts, files of our own."""
    for name in _ETC_FILES:
        source, target = Path("/etc", name), directory / name
        if source.is_file() and source.stat().st_size <= _ETC_LARGEST:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
    for name in _etc_directories():
        (directory / name).mkdir(parents=True, exist_ok=True)
    texts = {
        "passwd": f"root:x:0:0:root:/:/bin/false\ncoder:x:{uid}:{gid}:coder:{HOME}:/bin/bash\n",
        "group": f"root:x:0:\ncoder:x:{gid}:\n",
        "hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
        "gitconfig": GITCONFIG,
        "empty": "",
        "maven/settings.xml": "<settings/>\n",
    }
    (directory / "maven").mkdir(exist_ok=True)
    for name, text in texts.items():
        (directory / name).write_text(text)
    programs = directory / Path(PROGRAMS).relative_to("/etc")
    programs.mkdir()
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    (programs / "python").symlink_to("/usr/bin/python3")  # last: chmod would go through it


def _etc_directories() -> Iterator[str]:
    yield from (name for name in _ETC_DIRECTORIES if Path("/etc", name).is_dir())
    yield from (path.name for path in Path("/etc").glob("java-*-openjdk"))


def _system(etc: str) -> Iterator[str]:
    yield from ("--ro-bind", "/usr", "/usr")
    for path in _MERGED:
        if os.path.islink(path):
            yield from ("--symlink", os.readlink(path), path)
        elif os.path.isdir(path):
            yield from ("--ro-bind", path, path)
    yield from ("--ro-bind", etc, "/etc")
    for name in _etc_directories():
        yield from ("--ro-bind", f"/etc/{name}", f"/etc/{name}")
    for path in filter(os.path.isdir, _STORES):
        yield from ("--ro-bind", path, path)


def _devices(policy: Policy) -> Iterator[str]:
    shm = str(policy.tmpfs_mb[2] << 20)
    yield from ("--proc", "/proc", "--dev", "/dev")
    yield from ("--perms", "1777", "--size", shm, "--tmpfs", "/dev/shm", "--remount-ro", "/dev")  # noqa: S108


def _places(stage: Stage, workspace: Path, scratch: Path, toolchain: Toolchain | None) -> Iterator[str]:
    yield from ("--bind", stage.path(scratch / "tmp"), "/tmp")  # noqa: S108 - the sandbox's own
    yield from ("--dir", "/var", "--bind", stage.path(scratch / "tmp"), "/var/tmp")  # noqa: S108
    yield from ("--bind", stage.path(scratch / "home"), HOME)
    yield from ("--bind", stage.path(workspace), WORKDIR)
    if toolchain is None:
        return
    if toolchain.alias is not None:
        yield from ("--bind", stage.path(workspace), str(toolchain.alias))
    for index, mount in enumerate(toolchain.mounts):
        source = stage.path(mount.source)
        if mount.writes == "refused":
            yield from ("--ro-bind", source, str(mount.target))
        elif mount.writes == "shared":
            yield from ("--bind", source, str(mount.target))
        else:
            yield from layers.options(stage.path(scratch.parent), scratch, index, source, mount.target)
        for name, shown in _CREDENTIALS.items():
            if (mount.source / name).is_file():
                yield from ("--ro-bind", f"{stage.path(scratch / 'etc')}/{shown}", str(mount.target / name))


def mount_points(workspace: Path, scratch: Path, toolchain: Toolchain | None) -> list[Point]:
    """Mount points that lie where commands can write."""
    if toolchain is None:
        return []
    tmp = scratch / "tmp"
    writable = [
        (Path("/tmp"), tmp),  # noqa: S108
        (Path("/var/tmp"), tmp),  # noqa: S108
        (Path(HOME), scratch / "home"),
        (Path(WORKDIR), workspace),
    ]
    wanted = [(mount.target, mount.source.is_dir()) for mount in toolchain.mounts]
    if toolchain.alias is not None:
        wanted.insert(0, (toolchain.alias, True))
        writable.append((toolchain.alias, workspace))
    points = [mountpoints.find(target, writable, is_directory=is_dir) for target, is_dir in wanted]
    return [point for point in points if point is not None]


def options(
    stage: Stage,
    policy: Policy,
    workspace: Path,
    scratch: Path,
    toolchain: Toolchain | None,
    *,
    seccomp: int | None,
    nested: bool,
) -> list[str]:
    """Everything bwrap needs but the environment and the command.

    `scratch` holds the directories "etc", "tmp" and "home", and the layers of the toolchain's mounts. `seccomp` is a descriptor of a BPF program. `nested`
    leaves user namespaces possible inside (seccomp still refuses them) where bwrap cannot forbid them.
    """
    isolation = ["--unshare-all", "--unshare-user", "--hostname", "sandbox", "--cap-drop", "ALL"]
    life = ["--new-session", "--die-with-parent"]
    return [
        *isolation,
        *([] if nested else ["--disable-userns"]),
        *life,
        *_system(stage.path(scratch / "etc")),
        *_devices(policy),
        *_places(stage, workspace, scratch, toolchain),
        *("--remount-ro", "/", "--chdir", WORKDIR),
        *([] if seccomp is None else ["--seccomp", str(seccomp)]),
    ]
