"""The few calls of GitHub's REST API that the action makes. There is none that merges, and none for the default branch."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import requests

from coder.errors import UsageError

SECONDS = 30.0
MAX_BODY = 60_000
"""Characters of a comment or a description; GitHub takes 65,536."""


class Api:
    """One repository's. Raises UsageError when GitHub refuses or does not answer."""

    def __init__(self, url: str, repository: str, token: str) -> None:
        self._base = f"{url.rstrip('/')}/repos/{repository}"
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        )
        self._session.auth = _Bearer(token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.close()

    def permission(self, user: str) -> str:
        """admin, write, read or none: the base role, to which maintain, triage and a company's own roles are mapped
        (GitHub's REST API, "Get repository permissions for a user")."""
        found = self._call("GET", f"/collaborators/{quote(user, safe='')}/permission", missing={})
        return str(found.get("permission") or "none")

    def default_branch(self) -> str:
        return str(self._call("GET", "")["default_branch"])

    def comment(self, number: int, body: str) -> None:
        self._call("POST", f"/issues/{number}/comments", {"body": body[:MAX_BODY]})

    def draft(self, *, head: str, base: str, title: str, body: str) -> str:
        """A draft pull request; returns its page."""
        made = self._call(
            "POST",
            "/pulls",
            {"head": head, "base": base, "title": title[:200], "body": body[:MAX_BODY], "draft": True},
        )
        return str(made["html_url"])

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, missing: Any = None
    ) -> Any:
        try:
            answer = self._session.request(
                method, f"{self._base}{path}", json=body, timeout=SECONDS, allow_redirects=False
            )
            if answer.status_code == 404 and missing is not None:
                return missing
            answer.raise_for_status()
            return answer.json()
        except requests.HTTPError as error:
            status = error.response.status_code if error.response is not None else 0
            hint = "The job needs `permissions:` contents, issues and pull-requests: write."
            raise UsageError(
                f"GitHub answered {status} to {method} {path}", hint=hint if status == 403 else ""
            ) from error
        except (requests.RequestException, ValueError) as error:
            raise UsageError(f"GitHub does not answer: {error}") from error


class _Bearer(requests.auth.AuthBase):
    """An own authentication, so that no netrc file of the runner replaces it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request
