"""`coder fix --allow-host`: commands reach the named host and no other, and the user is told of each attempt."""

from __future__ import annotations

from pathlib import Path

import pytest

from coder import events
from coder.journal import FILE, load
from tests.e2e.conftest import EDIT, SANDBOXES, SUBMIT, TEST, Coder, scripted
from tests.sandbox.outside import file_server
from tests.scripted_server import Turn

ASK = """cat > /tmp/ask.py <<'END'
import sys, urllib.request, urllib.error
for url in sys.argv[1:]:
    try:
        print(urllib.request.urlopen(url, timeout=10).read().decode())
    except urllib.error.HTTPError as error:
        print(error.read().decode())
END
NO_PROXY= no_proxy= python3 /tmp/ask.py """


@pytest.mark.parametrize("sandbox", SANDBOXES)
def test_a_named_host_is_reached_and_every_attempt_is_told(
    repository: Path, coder: Coder, sandbox: list[str], tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "hello").write_text("hello from outside\n")
    session = tmp_path / "session"
    with file_server(files) as port:
        host = f"127.0.0.1:{port}"
        ask = Turn(
            calls=[("bash", {"command": f"{ASK} http://{host}/hello http://evil.test/ http://evil.test/"})]
        )
        with scripted([ask, TEST, EDIT, TEST, SUBMIT]) as server:
            done = coder(server, *sandbox, "--allow-host", host, "--session", str(session))
    assert done.exit == 0, done.stderr
    told = [event for event in load(session / FILE) if isinstance(event, events.NetworkAttempt)]
    assert [(event.host, event.port, event.allowed) for event in told] == [
        ("127.0.0.1", port, True),
        ("evil.test", 80, False),
    ]
    reached, refused = done.result["evidence"]["network"]
    assert (reached["host"], reached["count"], refused["count"]) == ("127.0.0.1", 1, 2)
    assert reached["bytes"] > 0
    assert f"network  {host} allowed" in done.stderr
    assert "network  evil.test:80 refused: not in the list of allowed hosts" in done.stderr
    assert f"Network: only {host}, through a logged proxy." in done.stderr
    output = next(
        e.text for e in load(session / FILE) if isinstance(e, events.ToolFinished) and e.name == "bash"
    )
    assert "hello from outside" in output
    assert "The user can allow it with --allow-host evil.test" in output


NEEDS_A_HOST = """import http.client


def test_needs_a_host():
    proxy = http.client.HTTPConnection("127.0.0.1", 3128, timeout=10)
    proxy.request("GET", "http://{host}/hello")
    assert proxy.getresponse().read() == b"hello"
"""


def test_what_a_test_needs_is_there_before_and_after(repository: Path, coder: Coder, tmp_path: Path) -> None:
    files = tmp_path / "files"
    files.mkdir()
    (files / "hello").write_text("hello")
    with file_server(files) as port:
        (repository / "test_host.py").write_text(NEEDS_A_HOST.format(host=f"127.0.0.1:{port}"))
        with scripted([TEST, EDIT, TEST, SUBMIT]) as server:
            done = coder(server, "--sandbox", "bubblewrap", "--allow-host", f"127.0.0.1:{port}")
    assert done.exit == 0, done.stderr
    assert done.result["evidence"]["tests_before"]["failing"] == ["test_calc.py::test_add"]
    assert done.result["evidence"]["tests_after"]["passed"] == 3


def test_nothing_is_said_of_a_network_where_none_was_asked_for(repository: Path, coder: Coder) -> None:
    with scripted([TEST, EDIT, TEST, SUBMIT]) as server:
        done = coder(server, "--sandbox", "bubblewrap")
    assert done.exit == 0, done.stderr
    assert "network" not in done.result["evidence"]
    assert "network" not in done.stderr.lower()


def test_a_host_that_cannot_be_read_is_a_sentence(repository: Path, coder: Coder) -> None:
    with scripted([]) as server:
        done = coder(server, "--allow-host", "https://example.org/path")
    assert done.exit == 2
    assert "sandbox.allow_hosts: 'https://example.org/path' is not HOST, HOST:PORT" in done.stderr
