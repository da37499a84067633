"""What an event asks for, and whether whoever caused it may.

The text of issues, comments and pull requests is data: it reaches the model as a task, and nothing else here reads it but
for a comment's first words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMMAND = "/coder fix"
MAX_TEXT = 20_000
"""Characters of an issue that the model is given."""


class Refused(Exception):
    """Nothing is to be done; the sentence says why. Not an error: most events are not for us."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """`mode` is fix, review or eval. `number` is the issue's or the pull request's, 0 for none."""

    mode: str
    actor: str
    bot: bool = False
    fork: bool = False
    number: int = 0
    task: str = ""
    base: str = ""
    """The commit that a pull request is compared with."""


def wanted(mode: str, name: str, event: Mapping[str, Any], *, label: str = "coder") -> Wanted:
    """What event `name` asks of the action in this mode. Raises Refused."""
    sender = event.get("sender") or {}
    actor = str(sender.get("login", ""))
    bot = sender.get("type") == "Bot" or actor.endswith("[bot]")
    match mode, name, event.get("action"):
        case "fix", "issues", "labeled":
            if (event.get("label") or {}).get("name") != label:
                raise Refused(f"the label is not {label}")
            return _issue(event, actor, bot=bot)
        case "fix", "issue_comment", "created":
            said = str((event.get("comment") or {}).get("body", "")).strip()
            if said != COMMAND and not said.startswith((f"{COMMAND} ", f"{COMMAND}\n", f"{COMMAND}\r")):
                raise Refused(f"the comment does not begin with {COMMAND}")
            if (event.get("issue") or {}).get("pull_request"):
                raise Refused("comments on pull requests are not acted upon")
            return _issue(event, actor, bot=bot, more=said[len(COMMAND) :].strip())
        case "fix", "workflow_run", "completed":
            run = event.get("workflow_run") or {}
            if run.get("conclusion") != "failure":
                raise Refused("the workflow did not fail")
            fork = _other(run.get("head_repository"), event)
            return Wanted("fix", actor, bot=bot, fork=fork, task="failing test")
        case "review", "pull_request", "opened" | "synchronize" | "reopened" | "ready_for_review":
            pull = event["pull_request"]
            fork = _other((pull.get("head") or {}).get("repo"), event)
            text = _text(pull.get("title"), pull.get("body"))
            return Wanted(
                "review",
                actor,
                bot,
                fork,
                int(pull["number"]),
                text,
                str((pull.get("base") or {}).get("sha", "")),
            )
        case "eval", "schedule" | "workflow_dispatch", _:
            return Wanted("eval", actor, bot=bot)
    raise Refused(f"mode {mode} has nothing to do with {name} {event.get('action') or ''}".strip())


def permitted(found: Wanted, permission: str, *, allow_forks: bool = False, allow_bots: bool = False) -> None:
    """Raises Refused unless whoever caused it has write access, and comes neither from a fork nor is a bot."""
    if found.bot and not allow_bots:
        raise Refused(f"{found.actor} is a bot")
    if found.fork and not allow_forks:
        raise Refused("the change comes from a fork")
    if permission not in ("admin", "write"):
        raise Refused(f"{found.actor} has no write access")


def _issue(event: Mapping[str, Any], actor: str, *, bot: bool, more: str = "") -> Wanted:
    issue = event.get("issue") or {}
    text = _text(issue.get("title"), issue.get("body"))
    task = f"An issue of this repository says:\n\n{text}"
    if more:
        task += f"\n\nA maintainer adds:\n\n{more[:MAX_TEXT]}"
    return Wanted("fix", actor, bot=bot, number=int(issue["number"]), task=task)


def _text(title: Any, body: Any) -> str:
    return "\n\n".join(str(part).strip() for part in (title, body) if part)[:MAX_TEXT]


def _other(repository: Any, event: Mapping[str, Any]) -> bool:
    """Whether this is another repository than the event's own. One that is gone counts as another."""
    own = (event.get("repository") or {}).get("full_name")
    return not isinstance(repository, Mapping) or repository.get("full_name") != own
