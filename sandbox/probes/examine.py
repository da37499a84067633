"""The host's part of a probe: a small sandbox of the same making, what is tried in it, and what is kept of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import secrets
import socket
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from sandbox import cgroups, owner
from sandbox.addresses import sockets
from sandbox.base import Guarantee, Policy, Sandbox
from sandbox.errors import SandboxError
from sandbox.probes import kept
from sandbox.probes.findings import Finding, Trial, confirmed, judged
from sandbox.walking import remove_tree
from sandbox.workspace import Workspace

LIMITS = Policy(
    memory_mb=192, cpus=0.5, processes=96, file_mb=8, tmp_mb=16, home_mb=8, workspace_mb=20, flood_mb=4
)
"""Small, so that each limit is soon reached."""
_PREFIX = "probe-"
_OWNER = "owner"
_WITHIN = Path(__file__).with_name("within.py")
_NOBODY = 65534
_SECONDS = 20.0
_GROW_SECONDS = 8.0
_SPIN = 0.35  # seconds
# a name that the search itself does not bear
_SURVIVORS = "cat /proc/[0-9]*/cmdline | tr '\\0' ' ' | grep -ao 'sleep 97[1]3' | wc -l"


@runtime_checkable
class Probed(Sandbox, Protocol):
    """A sandbox that can be examined. Everything is valid after start()."""

    def fingerprint(self) -> tuple[str, ...]:
        """What its guarantees depend on: engine or kernel, versions, user, the limits that it has."""

    def like(self, workspace: Workspace, policy: Policy) -> Probed:
        """Another one, not started, that differs in nothing else."""

    def control_group(self, controller: str) -> Path | None:
        """The directory of its control group for "cpu", "memory" or "pids", where it has one that can be seen."""

    @property
    def kernel(self) -> str:
        """The release of the kernel beneath it."""


async def findings_of(sandbox: Probed, *, place: Path | None = None) -> tuple[Finding, ...]:
    """What is known of sandboxes like this one: kept, else found out now (1 to 4 s) and kept.

    Raises SandboxError when another one like it cannot be had.
    """
    known = kept.load(sandbox.fingerprint(), place=place)
    if known:
        return known
    async with bench(lambda workspace: sandbox.like(workspace, LIMITS), place=place) as box:
        found = await examine(box)
    _keep(sandbox, found, place)
    return found


async def renewed(box: Probed, *, place: Path | None = None) -> list[Guarantee]:
    """What a started sandbox with LIMITS guarantees, found out anew whatever is kept. Raises SandboxError."""
    found = await examine(box)
    _keep(box, found, place)
    return confirmed(box.guarantees(), found)


def _keep(sandbox: Probed, found: tuple[Finding, ...], place: Path | None) -> None:
    with contextlib.suppress(OSError):  # a cache that cannot be written costs later runs a little time
        kept.save(sandbox.fingerprint(), found, place=place)


@contextlib.asynccontextmanager
async def bench(make: Callable[[Workspace], Probed], *, place: Path | None = None) -> AsyncIterator[Probed]:
    """A started sandbox on a workspace of its own; both are gone afterwards. Raises SandboxError."""
    making = asyncio.ensure_future(asyncio.to_thread(_prepare, place or kept.folder()))
    try:
        directory, workspace = await asyncio.shield(making)
    except asyncio.CancelledError:  # the thread goes on: what it makes has to go again
        remove_tree((await making)[0])
        raise
    try:
        sandbox = make(workspace)
        await sandbox.start()
        try:
            yield sandbox
        finally:
            await sandbox.close()
    finally:
        remove_tree(directory)


def _prepare(place: Path) -> tuple[Path, Workspace]:
    """A new directory, and in it the workspace of an empty repository. What dead owners left is removed first."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    for old in place.glob(f"{_PREFIX}*/{_OWNER}"):
        with contextlib.suppress(OSError):
            if owner.is_gone(old.read_text()):
                remove_tree(old.parent)
    directory = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=place))
    (directory / _OWNER).write_text(owner.me())
    quiet = {"PATH": os.defpath, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "init", "-q", "--template=", str(directory / "repository")]
    done = subprocess.run(command, env=quiet, capture_output=True, text=True, check=False)
    try:
        if done.returncode:
            raise SandboxError(f"no repository can be made for a probe: {done.stderr.strip()}")
        return directory, Workspace.create(directory / "repository", directory / "state")
    except (SandboxError, OSError):
        remove_tree(directory)
        raise


async def examine(box: Probed) -> tuple[Finding, ...]:
    """Try everything in a sandbox made with LIMITS. Raises SandboxError when it breaks altogether."""
    reports, died = await _reports(box)
    group = box.control_group("cpu")
    setuid = await _setuid(box)
    overdue, survivors = await _deadline(box)
    overgrown = await _overgrown(box, "/workspace", LIMITS.workspace_mb)
    disk = dict(reports.get("disk", {}))
    if disk.get("tmp") == "" and await _overgrown(box, "/tmp", LIMITS.tmp_mb + LIMITS.home_mb) == "disk":  # noqa: S108
        disk["tmp"] = "our watch"
    trial = Trial(
        limits=LIMITS,
        reports={**reports, **({"disk": disk} if disk else {})},
        kernel=box.kernel,
        died=died,
        quota=cgroups.quota(group) if group else None,
        throttled=cgroups.throttled(group) if group else 0,
        setuid=setuid,
        overgrown=overgrown,
        overdue=overdue,
        survivors=survivors,
    )
    return tuple(judged(trial))


async def _reports(box: Probed) -> tuple[dict[str, dict[str, Any]], str]:
    """The sections that the program inside has finished, and how it was ended if it was."""
    directory = box.workspace.root.parent.parent
    (directory / "canary").write_text("nobody inside should see this\n")
    (directory / "canary").chmod(0o644)
    with _listeners() as (listeners, abstract), _canary() as canary:
        given = {
            "listeners": listeners,
            "abstract": abstract,
            "canary": canary,
            "hidden": [str(directory / "canary"), *(path.removeprefix("unix://") for path in sockets())],
            "processes": LIMITS.processes,
            "file_mb": LIMITS.file_mb,
            "tmp_mb": LIMITS.tmp_mb,
            "memory_mb": LIMITS.memory_mb,
            "spin": _SPIN,
        }
        program = _WITHIN.read_bytes() + f"\nmain({given!r})\n".encode()
        result = await box.run("exec python3 -I -S -", timeout=_SECONDS, stdin=program)
    reports = {}
    for line in result.text().splitlines():
        with contextlib.suppress(ValueError):
            entry = json.loads(line)
            reports[str(entry.pop("part"))] = entry
    if result.ok:
        return reports, ""
    ended = (
        "memory" if result.oom or (result.exit == 137 and not result.timed_out) else f"status {result.exit}"
    )
    return reports, "its deadline" if result.timed_out else ended


@contextlib.contextmanager
def _listeners() -> Iterator[tuple[list[tuple[str, int]], str]]:
    """What on this machine must not be reached from inside: a port of loopback, and an abstract socket."""
    name = f"coder-probe-{secrets.token_hex(8)}"
    with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen()
        yield [("127.0.0.1", port.getsockname()[1])], name


@contextlib.contextmanager
def _canary() -> Iterator[str]:
    """A variable that every program started meanwhile would inherit."""
    name = f"CODER_CANARY_{secrets.token_hex(8)}"
    os.environ[name] = "1"
    try:
        yield name
    finally:
        del os.environ[name]


async def _deadline(box: Probed) -> tuple[bool, int]:
    late = await box.run("(setsid sleep 9713 &); sleep 9713", timeout=0.3)
    left = await box.run(_SURVIVORS, timeout=_SECONDS)
    count = left.text().strip()
    return late.timed_out, int(count) if count.isdigit() else 1


async def _overgrown(box: Probed, directory: str, limit: int) -> str:
    """Why a command was ended that wrote twice as much as `limit` megabytes there, in small files."""
    script = (
        f"for i in $(seq {limit // 2}); do head -c 4194304 /dev/zero >{directory}/grown-$i; done; sleep 20"
    )
    result = await box.run(f"{script} 2>/dev/null", timeout=_GROW_SECONDS)
    await box.run("rm -f /workspace/grown-* /tmp/grown-*", timeout=_SECONDS)
    return result.killed


async def _setuid(box: Probed) -> str:
    """Whom a program runs as that bears another user's set-uid bit, which only root can give it; not root's own:
    other users of this machine must find no such thing either."""
    if os.getuid() != 0:
        return ""
    await box.run('cp "$(command -v id)" probe-id', timeout=_SECONDS)
    try:
        fd = os.open(box.workspace.root / "probe-id", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        os.fchown(fd, _NOBODY, _NOBODY)
        os.fchmod(fd, 0o4755)
    finally:
        os.close(fd)
    result = await box.run("./probe-id -u", timeout=_SECONDS)
    return result.text().strip() if result.ok else ""


def shape(policy: Policy) -> str:
    """Which limits a policy has, whatever their size."""
    given: Mapping[str, float] = {name: getattr(policy, name) for name in policy.__dataclass_fields__}
    return ",".join(sorted(name for name, value in given.items() if value > 0))


def machine() -> tuple[str, ...]:
    """The kernel as it runs now, and who we are on it."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.release(), platform.version(), boot, str(os.getuid())
