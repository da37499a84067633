"""A few of the runs that `python -m tests.adversarial.kills` does by the hundred, and the proof that it can find something."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adversarial import kills
from tests.adversarial.cutting import Cutter


@pytest.mark.docker
@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_at_random_moments_nothing_is_left_and_nothing_lost() -> None:
    said: list[str] = []
    findings = kills.campaign_of(6, 11, ["bubblewrap", "docker"], said.append)
    assert findings == [], "\n".join([*said, *findings])


@pytest.mark.docker
def test_what_is_left_is_found(tmp_path: Path) -> None:
    with kills.scripted() as server, Cutter(tmp_path / "engine.sock", "/var/run/docker.sock") as cutter:
        campaign = kills.Campaign(tmp_path, server, cutter, random.Random(0))
        campaign.temporary.mkdir()
        (campaign.runs / "one").mkdir(parents=True)
        (campaign.runs / "one/journal.jsonl").touch()
        assert list(kills.leftovers(campaign)) == []
        (campaign.runs / "one/scratch-x").mkdir()
        (campaign.temporary / "coder-x").touch()
        process = subprocess.Popen(["sleep", f"{kills.MARK}9"])
        try:
            found = [line.partition(":")[0] for line in kills.leftovers(campaign)]
        finally:
            process.kill()
            process.wait()
        assert found == ["a process", "in a run's folder", "a temporary file"]


def test_the_switch_passes_everything_on_until_it_cuts(tmp_path: Path) -> None:
    script = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1]); listener.listen(); print(flush=True)
    connection, _ = listener.accept()
    while data := connection.recv(100):
        connection.sendall(data.upper())
    print("closed", flush=True)
"""
    import socket

    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "engine")], stdout=subprocess.PIPE, text=True
    ) as engine:
        assert engine.stdout is not None
        engine.stdout.readline()
        with (
            Cutter(tmp_path / "cut", str(tmp_path / "engine")) as cutter,
            socket.socket(socket.AF_UNIX) as client,
        ):
            client.connect(str(tmp_path / "cut"))
            client.sendall(b"words")
            assert client.recv(100) == b"WORDS"
            assert cutter.cut() == 1
            assert client.recv(100) == b""
        assert engine.stdout.readline() == "closed\n"
