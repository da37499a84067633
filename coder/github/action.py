"""From an event to what is said of it. Refused events write nothing but a line in the log."""

from __future__ import annotations

import contextlib
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coder import headless, sessions
from coder.errors import UsageError
from coder.events import RunFinished
from coder.github.api import Api
from coder.github.push import push
from coder.github.trigger import Refused, Wanted, permitted, wanted
from coder.reviews.output import escaped
from coder.start import new_request, run_until_interrupted
from coder.workflows.request import Request
from sandbox.text import clean_text

MODES = ("fix", "review", "eval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the runner says, all from its environment."""

    environ: Mapping[str, str]
    mode: str
    repository: str
    workspace: Path
    token: str

    def input(self, name: str) -> str:
        """An input of action.yml, as the action hands it over."""
        return self.environ.get(f"CODER_INPUT_{name.upper().replace('-', '_')}", "").strip()

    def allowed(self, name: str) -> bool:
        return self.input(name).lower() == "true"


def act(environ: Mapping[str, str]) -> int:
    """Do what the event asks for; the exit status. Raises CoderError."""
    job = _job(environ)
    event = _event(environ)
    with Api(environ.get("GITHUB_API_URL", "https://api.github.com"), job.repository, job.token) as api:
        try:
            found = wanted(
                job.mode, environ.get("GITHUB_EVENT_NAME", ""), event, label=job.input("label") or "coder"
            )
            if found.mode != "eval":
                permission = (
                    "none" if found.bot and not job.allowed("allow-bots") else api.permission(found.actor)
                )
                permitted(
                    found,
                    permission,
                    allow_forks=job.allowed("allow-forks"),
                    allow_bots=job.allowed("allow-bots"),
                )
        except Refused as refusal:
            print(f"Nothing to do: {clean_text(str(refusal))}.")
            return 0
        match found.mode:
            case "fix":
                return _fix(job, api, found)
            case "review":
                return _review(job, api, found)
        return _evaluate(job)


def _job(environ: Mapping[str, str]) -> Job:
    mode = environ.get("CODER_INPUT_MODE", "").strip()
    if mode not in MODES:
        raise UsageError(f"mode must be one of {', '.join(MODES)}, not {mode!r}")
    repository = environ.get("GITHUB_REPOSITORY", "")
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise UsageError("GITHUB_REPOSITORY is not set: this runs in a GitHub Action")
    return Job(
        environ=environ,
        mode=mode,
        repository=repository,
        workspace=Path(environ.get("GITHUB_WORKSPACE", ".")),
        token=environ.get("CODER_GITHUB_TOKEN", ""),
    )


def _event(environ: Mapping[str, str]) -> Mapping[str, Any]:
    try:
        found = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text("utf-8"))
    except (KeyError, OSError, ValueError) as error:
        raise UsageError(f"the event cannot be read: {error}") from error
    if not isinstance(found, dict):
        raise UsageError("the event is no object")
    return found


def _request(job: Job, found: Wanted, branch: str = "") -> Request:
    flags: dict[str, Any] = {}
    for name in ("base_url", "model", "profile", "sandbox", "image", "test", "strategy", "thinking"):
        flags[name] = job.input(name) or None
    if candidates := job.input("candidates"):
        flags["candidates"] = int(candidates) if candidates.isdigit() else 0
    if job.allowed("reviewer"):
        flags["reviewer"] = "on"
    return replace(new_request("fix", found.task, job.workspace, flags, job.environ), branch=branch)


def _fix(job: Job, api: Api, found: Wanted) -> int:
    from coder.workflows.run import execute

    target = api.default_branch()
    branch = f"coder/issue-{found.number}" if found.number else "coder/failed-check"
    request = _request(job, found, branch=f"{branch}-{sessions.new_id()}")
    with commands_stopped():
        finished = run_until_interrupted(execute(request, headless.Progress(sys.stdout, plain=True)))
    page = _page(request, finished)
    _summarise(job, page)
    _output(job, "status", finished.status)
    if finished.status != "solved":
        print(f"::warning title=coder::{escaped(finished.sentence)}")
        if found.number:
            api.comment(
                found.number, f"No change that passes every gate: {clean_text(finished.sentence)}\n\n{page}"
            )
        return 0 if finished.status in ("unsolved", "limit") else finished.exit
    if request.branch == target:
        raise UsageError("the default branch is never pushed to")
    server = job.environ.get("GITHUB_SERVER_URL", "https://github.com")
    push(job.workspace, request.branch, f"{server}/{job.repository}.git", job.token)
    issue = f"For #{found.number}.\n\n" if found.number else ""
    title = clean_text(finished.summary or finished.sentence).splitlines()[0]
    where = api.draft(head=request.branch, base=target, title=title, body=f"{issue}{page}")
    if found.number:
        api.comment(found.number, f"A change that passes every gate, as a draft to be read: {where}")
    _output(job, "pull-request", where)
    return 0


def _review(job: Job, api: Api, found: Wanted) -> int:
    from coder.reviews.output import as_github, as_text, heard
    from coder.workflows.review.run import review

    with commands_stopped():
        progress = headless.Progress(sys.stdout, plain=True)
        reviewed = run_until_interrupted(review(_request(job, found), found.base, None, progress))
    if annotations := as_github(reviewed):
        print(annotations)
    text = as_text(reviewed)
    body = (
        f"First review: {len(heard(reviewed.verdict))} findings, each with what backs it.\n\n{_block(text)}"
    )
    _summarise(job, body)
    _output(job, "status", reviewed.verdict.verdict)
    if heard(reviewed.verdict) and found.number:
        api.comment(found.number, body)
    return 0


def _evaluate(job: Job) -> int:
    """Run the command line's own `coder eval run`, and put its report into the summary."""
    data = job.input("data") or "smoke"
    output = Path(job.environ.get("RUNNER_TEMP", "/tmp")) / "coder-eval"  # noqa: S108 - the runner's own folder
    words = [sys.executable, "-I", "-m", "coder", "eval"]
    flags = [f"--{name}={value}" for name in ("base-url", "model", "strategy") if (value := job.input(name))]
    with commands_stopped():
        done = subprocess.run([*words, "run", data, "-o", str(output), *flags], check=False)
    report = subprocess.run([*words, "report", str(output)], capture_output=True, text=True, check=False)
    _summarise(job, report.stdout)
    return done.returncode


@contextlib.contextmanager
def commands_stopped() -> Iterator[None]:
    """Inside, the runner takes no line for one of its commands, whatever a model or a test prints: it looks for them
    after any blanks at a line's beginning (actions/runner, ActionCommand.cs)."""
    word = secrets.token_hex(16)
    print(f"::stop-commands::{word}", flush=True)
    try:
        yield
    finally:
        print(f"::{word}::", flush=True)


def _page(request: Request, finished: RunFinished) -> str:
    """The run's evidence as a page; a sentence where it has none."""
    try:
        return (request.session / "evidence.md").read_text("utf-8", "replace")
    except OSError:
        return clean_text(finished.sentence)


def _summarise(job: Job, text: str) -> None:
    _append(job.environ.get("GITHUB_STEP_SUMMARY"), f"{text}\n")


def _output(job: Job, name: str, value: str) -> None:
    _append(
        job.environ.get("GITHUB_OUTPUT"), f"{name}={clean_text(value).splitlines()[0] if value else ''}\n"
    )


def _append(path: str | None, text: str) -> None:
    if path:
        with open(path, "a", encoding="utf-8", errors="replace") as file:
            file.write(text)


def _block(text: str) -> str:
    """Text that nothing in it can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text}\n{fence}"
