"""What a command may leave in the workspace for those who look at it from outside: traps for files, and for git."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from sandbox.errors import FileRefused, PatchRefused
from tests.adversarial.canary import SECRET, Canary
from tests.adversarial.test_hostile_repository import ATTRIBUTES, CONFIG, HOOKS, make_cage, marks
from tests.sandboxes import text

LINKS = """
ln -s /etc/shadow passwords; ln -s {place}/folder folder; ln -s {place}/file file; ln -s ../../../../../../.. up
ln -s /proc/self/root root; ln -s /proc/1/environ environ; mkdir -p deep; ln -s .. deep/parent
ln -s {place}/new dangling; ln -s calc.py fine
"""


async def test_links_lead_the_host_nowhere(fresh: Any, canary: Canary) -> None:
    """Case 27: reading, writing and listing through every link that a command can make."""
    assert (await fresh.run(LINKS.format(place=canary.place), timeout=20)).ok
    workspace = fresh.workspace
    assert workspace.read("fine").startswith(b"def add")
    ways = ["passwords", "folder/file", "file", f"up{canary.place}/file", "root/etc/shadow", "environ"]
    for path in [*ways, "deep/parent/../../x", "dangling"]:
        with pytest.raises((FileRefused, OSError)):
            workspace.read(path)
        with pytest.raises((FileRefused, OSError)):
            workspace.write(path, b"through a link")
    with pytest.raises((FileRefused, OSError)):
        workspace.list("folder")
    assert SECRET.encode() not in workspace.patch()
    with pytest.raises(PatchRefused):
        workspace.apply_to_source()
    assert sorted(os.listdir(workspace.source)) == [".git", "calc.py"]


SPECIAL = """
import os, socket
os.mkfifo("fifo")
s = socket.socket(socket.AF_UNIX); s.bind("socket")
with open("sparse", "wb") as file:
    file.truncate(40 << 20)
os.makedirs("names"); os.chdir("names")
for name in (b"new\\nline", b"\\x1b[2Jesc", b"-rf", b"\\xff\\xfe", b" ", b"a" * 255, b"'\\"`$(touch x)"):
    open(name, "w").close()
os.chdir("..")
for _ in range(3000):
    os.mkdir("d"); os.chdir("d")
open("bottom", "w").close()
"""


async def test_no_file_whatever_its_kind_stops_the_host(fresh: Any) -> None:
    """Case 28: pipes, sockets, holes, names and a tree of 3000 levels; then everything can be removed."""
    made = await fresh.run("python3 -", timeout=60, stdin=SPECIAL.encode())
    assert made.ok, text(made)
    workspace = fresh.workspace
    async with asyncio.timeout(60):
        for path in ("fifo", "socket"):
            with pytest.raises((FileRefused, OSError)):
                await asyncio.to_thread(workspace.read, path)
        with pytest.raises(FileRefused):
            await asyncio.to_thread(workspace.read, "sparse", 1 << 20)
        changes = await asyncio.to_thread(workspace.changes)
        await asyncio.to_thread(workspace.list, ".", 3)
    paths = {change.path for change in changes}
    assert {"sparse", "names/-rf", "names/new\nline"} <= paths
    assert not any(path.endswith("bottom") for path in paths)
    await asyncio.to_thread(workspace.restore, workspace.base)
    assert (await fresh.run("cat calc.py", timeout=20)).ok


PLANT = r"""
set -e
plant() {{
    mkdir -p "$1/hooks" "$1/info"
    cat >> "$1/config" <<'END'
{config}
END
    cp "$1/config" "$1/config.worktree"
    printf '%s' '{attributes}' > "$1/info/attributes"
    for hook in {hooks}; do printf '#!/bin/sh\ntouch {cage}/marks/hook-%s\n' $hook > "$1/hooks/$hook"; done
    chmod 755 "$1"/hooks/*
}}
printf '%s' '{attributes}' > .gitattributes
git init -q nested; echo inner > nested/inner.py; (cd nested; git add -A; git commit -qm inner)
git init -q nested/empty
mkdir -p module .git/modules; git init -q --separate-git-dir .git/modules/module module; echo m > module/m.py
printf '[submodule "module"]\n\tpath = module\n\turl = ./nested\n\tupdate = !touch {cage}/marks/update\n' > .gitmodules
plant .git; plant nested/.git; plant nested/empty/.git; plant .git/modules/module
mkdir -p bare.git; plant bare.git; printf 'ref: refs/heads/main\n' > bare.git/HEAD; mkdir -p bare.git/objects bare.git/refs
mkdir -p .GIT; plant .GIT; mkdir -p sub; printf 'gitdir: {cage}' > sub/.git; echo s > sub/s.py
printf 'def add(a, b):\n    return a + b\n' > calc.py; echo data > b.dat
"""


async def test_git_made_hostile_by_a_command_runs_nothing_outside(fresh: Any) -> None:
    """Cases 29 to 31: hooks, fsmonitor, filters, drivers, nested repositories and submodules, made inside."""
    cage = fresh.workspace.root.parent.parent / "cage"
    make_cage(cage)
    for path in (cage, *cage.rglob("*")):
        path.chmod(0o777)
    script = PLANT.format(
        cage=cage, config=CONFIG.format(cage=cage), attributes=ATTRIBUTES, hooks=" ".join(HOOKS.split())
    )
    planted = await fresh.run(script, timeout=60)
    assert planted.ok, text(planted)
    workspace = fresh.workspace

    def whole_life() -> tuple[set[str], bytes]:
        first = workspace.snapshot()
        changed = {change.path for change in workspace.changes()}
        patch = workspace.patch()
        workspace.restore(workspace.base)
        workspace.restore(first)
        workspace.restore(workspace.base, ["nested"])
        workspace.apply_to_source()
        return changed, patch

    changed, patch = await asyncio.to_thread(whole_life)
    assert {"calc.py", "b.dat", "nested/inner.py", "module/m.py", "sub/s.py"} <= changed
    assert not [path for path in changed if "/.git/" in f"/{path.lower()}/"]
    assert b"-    return a - b\n+    return a + b\n" in patch
    assert (workspace.source / "calc.py").read_text().endswith("a + b\n")
    assert marks(cage) == []


async def test_a_set_uid_file_is_an_ordinary_one_outside(fresh: Any) -> None:
    """Case 24: whoever it belongs to, the bits do not reach the user's tree."""
    await fresh.run("cp /bin/true shell; chmod 6755 shell; echo x >> calc.py; chmod 4755 calc.py", timeout=20)
    workspace = fresh.workspace
    inside = (workspace.root / "shell").stat()
    assert inside.st_uid == workspace.uid != 0
    workspace.apply_to_source()
    for name in ("shell", "calc.py"):
        assert (workspace.source / name).stat().st_mode & 0o7000 == 0


async def test_files_change_while_the_host_reads_them(fresh: Any, canary: Canary) -> None:
    """A race between a command that swaps links and a snapshot: nothing from outside gets in."""
    swap = (
        "mkdir -p d e; echo mine > d/file; end=$((SECONDS + 4)); "
        f"while [ $SECONDS -lt $end ]; do mv d x; ln -s {canary.place}/folder d; rm d; mv x d; "
        f"ln -sf {canary.place}/file e/file; rm e/file; echo mine > e/file; done; true"
    )
    running = asyncio.create_task(fresh.run(swap, timeout=20))
    patches = []
    if hasattr(fresh, "process"):  # one request at a time: its workspace is looked at afterwards
        await running
    while not running.done():
        patches.append(await asyncio.to_thread(fresh.workspace.patch))
    await running
    patches.append(await asyncio.to_thread(fresh.workspace.patch))
    assert SECRET.encode() not in b"".join(patches)
