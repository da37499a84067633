"""The scripted server itself, where others rely on it: as a program, and what it records."""

import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.scripted_server import ScriptedServer, Turn

PROGRAM = Path(__file__).parents[1] / "scripted_server.py"


def post(base_url: str, body: dict[str, Any]) -> Any:
    data = json.dumps(body).encode()
    request = urllib.request.Request(
        f"{base_url}/chat/completions", data, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_it_runs_as_a_program_from_a_script_file(tmp_path: Path) -> None:
    script = tmp_path / "script.json"
    script.write_text(
        json.dumps({"turns": [{"text": "one"}, {"text": "two"}], "model": "played", "after": "repeat"})
    )
    process = subprocess.Popen([sys.executable, str(PROGRAM), str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        base_url = process.stdout.readline().strip()
        texts = [post(base_url, {})["choices"][0]["message"]["content"] for _ in range(3)]
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    assert texts == ["one", "two", "two"]


def test_it_records_every_request_and_says_when_the_script_has_ended() -> None:
    with ScriptedServer([Turn(text="one")]) as server:
        post(server.base_url, {"messages": [{"role": "user", "content": "hi"}]})
        with pytest.raises(urllib.error.HTTPError, match="500") as caught:
            post(server.base_url, {})
        assert b"script has ended" in caught.value.read()
        caught.value.close()
    assert [recorded.body for recorded in server.requests] == [
        {"messages": [{"role": "user", "content": "hi"}]},
        {},
    ]
    first, second = server.requests
    assert first.started <= second.started
    # the client may be told the end before the server has written it down, so the two may overlap
    assert first.started <= first.finished


@pytest.mark.parametrize("sent", [b"", b'{"messages": ['])
def test_a_request_that_was_cut_off_takes_no_turn(sent: bytes) -> None:
    """A killed client may leave between its headers and the end of its body: a server never saw that request."""
    with ScriptedServer([Turn(text="one")]) as server:
        with socket.create_connection(("127.0.0.1", server.port), 10) as cut:
            cut.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 99\r\n\r\n" + sent)
            cut.shutdown(socket.SHUT_WR)
            assert cut.recv(1) == b"", "the server hangs up"
        assert post(server.base_url, {})["choices"][0]["message"]["content"] == "one"
        assert len(server.requests) == 1
