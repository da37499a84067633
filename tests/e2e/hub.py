"""A stand-in for GitHub on loopback: the few REST calls, each checked and recorded, and a git server behind the same token."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

BASE = {"maintain": "write", "triage": "read", "release-manager": "write"}
"""The base role of a role, as GitHub maps them; the last is a company's own."""
TOKEN = "ghs_for-this-job"
REPOSITORY = "owner/shop"


class Hub:
    """`writes` are the REST calls that change something: (method, path, body). `pushed` counts pushes."""

    def __init__(self, origin: Path, permissions: dict[str, str]) -> None:
        self.origin, self.permissions = origin, permissions
        self.asked: list[str] = []
        self.writes: list[tuple[str, str, Any]] = []
        self.pushed = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._http.hub = self  # type: ignore[attr-defined]  # for its handlers, which know only the server
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._http.shutdown()
        self._http.server_close()

    def branches(self) -> set[str]:
        listed = subprocess.run(
            ["git", "for-each-ref", "--format=%(refname:short)", "refs/heads"], cwd=self.origin, capture_output=True, text=True
        )  # fmt: skip
        return set(listed.stdout.split())


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (the base class's name)
        pass

    @property
    def hub(self) -> Hub:
        return self.server.hub  # type: ignore[attr-defined,no-any-return]  # put there by Hub

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length") or 0)))

    def _answer(self, body: bytes) -> None:
        path = urlsplit(self.path).path
        if path.startswith(f"/{REPOSITORY}.git/"):
            self._git(body)
            return
        self.hub.asked.append(f"{self.command} {path}")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._json(401, {"message": "Bad credentials"})
            return
        rest = path.removeprefix(f"/api/repos/{REPOSITORY}")
        if self.command == "POST":
            self.hub.writes.append((self.command, rest, json.loads(body)))
        match self.command, rest.split("/")[1:]:
            case "GET", []:
                self._json(200, {"default_branch": "main"})
            case "GET", ["collaborators", user, "permission"]:
                role = self.hub.permissions.get(user)
                self._json(
                    *((200, {"permission": BASE.get(role, role), "role_name": role}) if role else (404, {}))
                )
            case "POST", ["issues", _, "comments"]:
                self._json(201, {"id": 1})
            case "POST", ["pulls"]:
                self._json(201, {"html_url": "http://hub/pull/7", "number": 7})
            case _:
                self._json(404, {"message": "no such call"})

    def _json(self, status: int, answer: Any) -> None:
        data = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _git(self, body: bytes) -> None:
        basic = "Basic " + base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != basic:
            self.send_response(401)
            self.send_header("WWW-Authenticate", "Basic")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        found = urlsplit(self.path)
        environ = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.hub.origin),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": found.path.removeprefix(f"/{REPOSITORY}.git"),
            "QUERY_STRING": found.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "x-access-token",
        }
        if "git-receive-pack" in found.path and self.command == "POST":
            self.hub.pushed += 1
        done = subprocess.run(["git", "http-backend"], env=environ, input=body, capture_output=True)
        head, _, answer = done.stdout.partition(b"\r\n\r\n")
        lines = [line.decode().partition(": ") for line in head.split(b"\r\n")]
        headers = {name: value for name, _, value in lines}
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
