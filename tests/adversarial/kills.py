"""Runs in a row, each cut short by something that is killed at a random moment; then: is anything left, is anything lost?

python -m tests.adversarial.kills --runs 200 --seed 1      (needs Docker, its image, and bubblewrap)

What is killed: the program, its process group, a process that it started, its container, all connections to the engine,
or the program in the middle of changing the user's files. Each run begins with what the one before has left. Whatever
happens, the user's files are as they were or wholly changed, and after one more clean start nothing of all that exists.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sandbox.addresses import DEFAULT_HOST
from tests.adversarial.cutting import Cutter
from tests.conftest import IMAGE
from tests.e2e.conftest import git, tree
from tests.scripted_server import ScriptedServer, Turn

PATIENCE = 120.0
"""Seconds after which a run that was not itself killed counts as hanging."""
MARK = "1050."
"""Begins the seconds of every `sleep` that these runs start."""

FILES = {f"pkg/part{number}.py": f"VALUE = {number}\n" for number in range(12)}
FILES |= {"calc.py": "def add(a, b):\n    return a - b\n", "gone/old.py": "old = 1\n"}
TESTS = "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"
CHANGE = "sed -i 's/VALUE = /VALUE = 1 + /' pkg/*.py; sed -i 's/a - b/a + b/' calc.py; rm -r gone; mkdir -p new/deep; echo 'x = 1' > new/deep/x.py"

KEPT = {"journal.jsonl", "patch.diff", "evidence.json", "evidence.md"}
"""What a run's folder may hold."""
WHAT = ("program", "group", "child", "container", "engine", "applying")


@dataclass
class Campaign:
    """Everything of one series of runs lies below `place`."""

    place: Path
    server: ScriptedServer
    cutter: Cutter
    rng: random.Random
    findings: list[str] = field(default_factory=list)
    deeds: Counter[str] = field(default_factory=Counter)
    programs: set[int] = field(default_factory=set)
    """Process ids of all programs that were started."""

    @property
    def runs(self) -> Path:
        return self.place / "state/coder/runs"

    @property
    def temporary(self) -> Path:
        return self.place / "tmp"


def turns() -> list[Turn]:
    """A run of some seconds, with daemons, edits and a lot of output; each turn comes a little late."""
    scripts = (
        f"setsid sleep {MARK}1 & (sleep {MARK}2 &) ; ls; sleep 0.5",
        f"{CHANGE}; head -c 20M /dev/zero > /tmp/blob; yes | head -c 3M",
        f"git add -A; git commit -qm x; python3 -c 'import os; os.fork(); os.fork()'; nohup sleep {MARK}3 &",
    )
    calls = [("bash", {"command": script}) for script in scripts]
    calls += [("run_tests", {}), ("submit", {"summary": "done"})]
    return [Turn(calls=[call], delay=0.1) for call in calls]


def scripted() -> ScriptedServer:
    """A server that finds out from the conversation which turn it is: runs are cut short anywhere."""
    played = turns()

    def next_turn(body: dict[str, Any]) -> Turn:
        asked = sum(1 for message in body["messages"] if message["role"] == "assistant")
        return played[min(asked, len(played) - 1)]

    return ScriptedServer([next_turn], model="scripted-model", after="repeat")


def make_repository(path: Path) -> None:
    for name, text in {**FILES, "test_calc.py": TESTS}.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    (path / "calc.py").chmod(0o755)
    git(path, "init", "-q")
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")


def changed(before: dict[str, str], repository: Path) -> dict[str, str]:
    """The tree as it must be after the whole change: computed on a copy."""
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        shutil.copytree(repository, copy, symlinks=True)
        subprocess.run(["bash", "-c", CHANGE], cwd=copy, check=True)
        return {path.replace(str(copy), str(repository)): state for path, state in tree(copy).items()}


def patched(campaign: Campaign, repository: Path) -> list[dict[str, str]]:
    """The tree after the patch of a run that came to its end, which may differ from CHANGE: an agent that outlived its
    container may have done that twice. Computed on a new copy; none where there was no such end."""
    try:
        finished = json.loads((campaign.place / "log").read_text().splitlines()[-1])
    except (ValueError, IndexError):
        return []
    if finished["status"] != "solved":
        return []
    with tempfile.TemporaryDirectory() as place:
        copy = Path(place, "copy")
        make_repository(copy)
        subprocess.run(["git", "apply"], cwd=copy, input=finished["patch"].encode(), check=True)
        files = {path.replace(str(copy), str(repository)): state for path, state in tree(copy).items()}
    return [{path: state for path, state in files.items() if "/.git" not in path}]


def start(campaign: Campaign, repository: Path, backend: str, *, apply: bool) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "coder", "fix", "failing test", "-C", str(repository)]
    words += ["--base-url", campaign.server.base_url, "--strategy", "agent", "--output-format", "json"]
    words += ["--sandbox", backend, *(["--image", IMAGE] if backend == "docker" else [])]
    words += ["--apply" if apply else "--no-apply"]
    environment = {
        **os.environ,
        "XDG_STATE_HOME": str(campaign.place / "state"),
        "XDG_CONFIG_HOME": str(campaign.place / "config"),
        "TMPDIR": str(campaign.temporary),
        "DOCKER_HOST": f"unix://{campaign.cutter.path}",
    }
    log = (campaign.place / "log").open("wb")
    with log:
        process = subprocess.Popen(words, stdout=log, stderr=log, env=environment, start_new_session=True)
    campaign.programs.add(process.pid)
    return process


# What is killed


def descendants(process: int) -> list[int]:
    """All processes below this one."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found: list[int] = []
    waiting = [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def containers(campaign: Campaign) -> list[Any]:
    """Those that show a workspace of this campaign."""
    client = _docker()
    found = client.containers(all=True, filters={"label": "coder.owner"})
    client.close()
    return [
        entry for entry in found
        if any(str(mount.get("Source", "")).startswith(str(campaign.place)) for mount in entry["Mounts"])
    ]  # fmt: skip


def _docker() -> Any:
    import docker

    return docker.APIClient(base_url=DEFAULT_HOST, timeout=30)


def kill(campaign: Campaign, process: subprocess.Popen[bytes], what: str) -> str:
    """Do it; what was done, in a word, empty for nothing."""
    if process.poll() is not None:
        return ""
    match what:
        case "program" | "applying":
            process.kill()
            return what
        case "group":
            os.killpg(process.pid, signal.SIGKILL)
            return what
        case "child":
            below = descendants(process.pid)
            if not below:
                return ""
            victim = campaign.rng.choice(below)
            name = _name(victim)
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                return ""
            return f"child {name}"
        case "container":
            return _kill_container(campaign)
    return "engine" if campaign.cutter.cut() else ""


def _name(process: int) -> str:
    try:
        return Path(f"/proc/{process}/comm").read_text().strip()
    except OSError:
        return "?"


def _kill_container(campaign: Campaign) -> str:
    from docker.errors import APIError

    client = _docker()
    try:
        for entry in containers(campaign):
            if entry["State"] == "running":
                client.kill(entry["Id"])
                return "container"
    except APIError:
        return ""  # it went of its own accord
    finally:
        client.close()
    return ""


def wait_for_moment(
    campaign: Campaign, process: subprocess.Popen[bytes], repository: Path, what: str, backend: str
) -> None:
    if what != "applying":
        deadline = time.monotonic() + campaign.rng.uniform(0.05, 8.0 if backend == "bubblewrap" else 4.0)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.01)
        there = {"child": lambda: descendants(process.pid), "container": lambda: containers(campaign)}
        while what in there and process.poll() is None and not there[what]():
            time.sleep(0.05)
        return
    deadline = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < deadline:
        if any(name.startswith(".coder-internal-") for name in os.listdir(repository)):
            time.sleep(campaign.rng.choice((0.0, campaign.rng.uniform(0, 0.004))))
            return
        time.sleep(0.0002)


# One run and what is found after it


def one_run(campaign: Campaign, number: int, what: str, backend: str) -> None:
    """A run in a new repository, in which `what` is killed, and the check of the user's tree after the next start."""
    repository = campaign.place / f"repository{number}"
    make_repository(repository)
    before = tree(repository)
    apply = what == "applying" or campaign.rng.random() < 0.4
    wanted = [before, changed(before, repository)] if apply else [before]
    process = start(campaign, repository, backend, apply=apply)
    wait_for_moment(campaign, process, repository, what, backend)
    done = kill(campaign, process, what)
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        campaign.findings.append(f"run {number} ({backend}, {done}): it hangs")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    log = (campaign.place / "log").read_text(errors="replace")
    if "Traceback" in log:
        campaign.findings.append(f"run {number} ({backend}, {done}): a traceback\n{log[-3000:]}")
    half = " half-way" if tree(repository) not in wanted else ""
    campaign.deeds[f"{backend}: {done or 'ended before'}{half}"] += 1
    reap(campaign, number)
    after = tree(repository)
    outside_git = {path: state for path, state in after.items() if "/.git" not in path}
    if after not in wanted and not (apply and outside_git in patched(campaign, repository)):
        differing = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        campaign.findings.append(f"run {number} ({backend}, {done}): the user's tree: {sorted(differing)}")
    shutil.rmtree(repository)


def reap(campaign: Campaign, number: int) -> None:
    """What every start does first. Starting the whole program once more for this would double the time."""
    from coder.workflows.leftovers import sweep

    try:
        sweep(campaign.runs)
    except OSError as error:
        campaign.findings.append(f"run {number}: the sweep failed: {error}")


def clean_start(campaign: Campaign, backend: str) -> None:
    repository = campaign.place / f"last-{backend}"
    make_repository(repository)
    process = start(campaign, repository, backend, apply=False)
    if process.wait(PATIENCE) != 0:
        log = (campaign.place / "log").read_text(errors="replace")
        campaign.findings.append(f"the last run ({backend}) ended with {process.returncode}: {log[-2000:]}")
    shutil.rmtree(repository)


def leftovers(campaign: Campaign) -> Iterator[str]:
    """Whatever exists of all these runs that should not."""
    yield from (f"a container: {entry['Id'][:12]} {entry['State']}" for entry in containers(campaign))
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if int(path.name) != os.getpid() and (f"sleep {MARK}" in words or str(campaign.place) in words):
            yield f"a process: {path.name} {words[:200]}"
    mounts = Path("/proc/self/mountinfo").read_text().splitlines()
    yield from (f"a mount: {line}" for line in mounts if str(campaign.place) in line)
    for group in Path("/sys/fs/cgroup").rglob("coder-*"):
        if any(f".{program}." in group.name for program in campaign.programs):
            yield f"a control group: {group}"
    for run in campaign.runs.iterdir():
        yield from (f"in a run's folder: {path}" for path in run.iterdir() if path.name not in KEPT)
    yield from (f"a temporary file: {path}" for path in campaign.temporary.iterdir())


def settled(look: Callable[[], Sequence[str]], seconds: float = 15.0) -> Sequence[str]:
    """What `look` still finds when everything had time to end."""
    deadline = time.monotonic() + seconds
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def campaign_of(runs: int, seed: int, backends: Sequence[str], say: Callable[[str], None]) -> list[str]:
    """Do `runs` runs; the findings."""
    with tempfile.TemporaryDirectory(prefix="kills-") as name, scripted() as server:
        place = Path(name)
        place.chmod(0o711)
        with Cutter(place / "engine.sock", DEFAULT_HOST.removeprefix("unix://")) as cutter:
            campaign = Campaign(place, server, cutter, random.Random(seed))
            campaign.temporary.mkdir()
            for number in range(runs):
                backend = campaign.rng.choice(list(backends))
                kinds = [what for what in WHAT if backend == "docker" or what not in ("container", "engine")]
                what = kinds[number % len(kinds)]
                one_run(campaign, number, what, backend)
                say(f"{number + 1:4} {backend:10} {what:10} findings so far: {len(campaign.findings)}")
            for backend in backends:
                clean_start(campaign, backend)
            campaign.findings += settled(lambda: list(leftovers(campaign)))
            say(json.dumps(dict(sorted(campaign.deeds.items())), indent=1))
    return campaign.findings


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sandbox", choices=("bubblewrap", "docker"), action="append")
    options = parser.parse_args()
    began = time.monotonic()
    backends = options.sandbox or ["bubblewrap", "docker"]
    findings = campaign_of(options.runs, options.seed, backends, lambda line: print(line, flush=True))
    print(f"{options.runs} runs in {time.monotonic() - began:.0f} s, {len(findings)} findings")
    for finding in findings:
        print(f"- {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
