"""A file from a hub, over real HTTP from a mirror on loopback."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from coder.errors import ModelUnavailable, UsageError
from coder.model.weights import Download, resolve

CONTENT = b"GGUF" + bytes(range(256)) * 5000
SPEC = "hf:owner/repo/folder/model-q4.gguf"
PLACE = "/owner/repo/resolve/main/folder/model-q4.gguf"


class Mirror(ThreadingHTTPServer):
    """Serves one file, with ranges; `cut` ends the next answers after so many bytes."""

    daemon_threads = True
    content = CONTENT
    cut: int | None = None

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), MirrorHandler)
        self.ranges: list[str] = []


class MirrorHandler(BaseHTTPRequestHandler):
    server: Mirror

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base class's name)
        """Silence."""

    def do_GET(self) -> None:
        if self.path != PLACE:
            self.send_error(404)
            return
        asked = self.headers.get("Range", "")
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        body = self.server.content[start:]
        if not body:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: self.server.cut])


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    with _serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}/")
        yield server


@contextmanager
def _serving() -> Iterator[Mirror]:
    with Mirror() as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server
        server.shutdown()


def test_a_file_is_announced_fetched_and_kept(mirror: Mirror, tmp_path: Path) -> None:
    told: list[Download] = []
    steps: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    for _ in range(2):
        path = resolve(SPEC, announce=told.append, progress=progress, cache=tmp_path)
        assert path.read_bytes() == CONTENT
    assert len(told) == len(mirror.ranges) == 1
    assert PLACE in told[0].source
    assert steps[-1] == (len(CONTENT), len(CONTENT))


def test_a_broken_download_goes_on_where_it_ended(mirror: Mirror, tmp_path: Path) -> None:
    mirror.cut = 400_000
    with pytest.raises(ModelUnavailable, match="after 400000 of"):
        resolve(SPEC, cache=tmp_path)
    mirror.cut = None
    assert resolve(SPEC, cache=tmp_path).read_bytes() == CONTENT
    assert mirror.ranges == ["", "bytes=400000-"]


def test_a_download_that_was_only_not_renamed_is_finished(mirror: Mirror, tmp_path: Path) -> None:
    place = tmp_path / "owner" / "repo" / "folder"
    place.mkdir(parents=True)
    (place / "model-q4.gguf.partial").write_bytes(CONTENT)
    assert resolve(SPEC, cache=tmp_path).read_bytes() == CONTENT


def test_what_is_no_gguf_file_is_not_kept(mirror: Mirror, tmp_path: Path) -> None:
    mirror.content = b"<html>sign in</html>"
    with pytest.raises(ModelUnavailable, match="not a GGUF"):
        resolve(SPEC, cache=tmp_path)
    mirror.content = CONTENT
    assert resolve(SPEC, cache=tmp_path).read_bytes() == CONTENT


def test_a_file_that_is_not_there_is_said(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="HTTP 404") as caught:
        resolve("hf:owner/repo/other.gguf", cache=tmp_path)
    assert caught.value.status == 404


def test_without_a_network_the_way_out_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with _serving() as server:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_address[1]}")
    with pytest.raises(ModelUnavailable, match="refused") as caught:
        resolve(SPEC, cache=tmp_path)
    assert "HF_ENDPOINT" in caught.value.hint


def test_a_stop_keeps_what_arrived(mirror: Mirror, tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(ModelUnavailable, match="stopped"):
        resolve(SPEC, stop=stop, cache=tmp_path)


@pytest.mark.parametrize(
    "spec",
    [
        "hf:",
        "hf:owner",
        "hf:owner/repo",
        "hf:owner/repo/",
        "hf:../repo/a.gguf",
        "hf:owner/repo/../../a.gguf",
        "hf:o/r//a",
    ],
)
def test_a_spec_that_names_no_file_shows_the_form(spec: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(spec, cache=tmp_path)
    assert "hf:OWNER/REPOSITORY/FILE.gguf" in caught.value.hint


def test_a_mirror_that_is_no_web_address_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "file:///etc")
    with pytest.raises(UsageError, match="HF_ENDPOINT"):
        resolve(SPEC, cache=tmp_path)
