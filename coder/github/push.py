"""Pushing one new branch, in a way that nothing in the repository can steer."""

from __future__ import annotations

import base64
import os
import subprocess
import tempfile
from pathlib import Path

from coder.errors import UsageError
from sandbox.hostgit import git, git_program
from sandbox.repository import Repository, find_repository
from sandbox.text import clean_text

SECONDS = 300.0


def push(repository: Path, branch: str, url: str, token: str) -> None:
    """Push `branch` to the same name at `url`. Never forced: a branch that is there already is refused.

    The repository's own settings, hooks and credential helpers are out of play: git runs in a bare directory of its own
    whose objects are borrowed. The token travels in the environment. Raises UsageError.
    """
    found = find_repository(repository)
    if found.common_dir is None:
        raise UsageError("there is no git repository to push from", hint="Use actions/checkout first.")
    with tempfile.TemporaryDirectory(prefix="coder-push-") as name:
        own = Path(name) / "push.git"
        _git(["init", "--quiet", "--bare", str(own)], {})
        (own / "objects/info/alternates").write_text(f"{found.common_dir / 'objects'}\n")
        commit = _tip(found, branch)
        secret = base64.b64encode(f"x-access-token:{token}".encode()).decode()
        settings = {
            "http.extraHeader": f"Authorization: Basic {secret}",
            "credential.helper": "",
            "core.hooksPath": "/dev/null",
        }
        _git(["--git-dir", str(own), "push", "--quiet", url, f"{commit}:refs/heads/{branch}"], settings)


def _tip(found: Repository, branch: str) -> str:
    assert found.git_dir is not None
    return git(["rev-parse", "--verify", f"refs/heads/{branch}"], git_dir=found.git_dir).decode().strip()


def _git(words: list[str], settings: dict[str, str]) -> None:
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/nonexistent",
        "LC_ALL": "C",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_SYSTEM": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_COUNT": str(len(settings)),
    }
    for name in ("SSL_CERT_FILE", "GIT_SSL_CAINFO", "https_proxy", "HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        if name in os.environ:
            environment[name] = os.environ[name]
    for number, (key, value) in enumerate(settings.items()):
        environment |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    try:
        done = subprocess.run(
            [git_program(), *words],
            cwd="/",
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UsageError(f"git {words[0]} took longer than {SECONDS:.0f} s") from None
    if done.returncode:
        said = clean_text(done.stderr)[-500:].strip()
        raise UsageError(
            f"the branch could not be pushed: {said}", hint="The job needs `permissions: contents: write`."
        )
