"""A run talks to the model server that was named, and to nobody else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WATCHED = Path(__file__).with_name("watched_network.py")
KNOCKS = {"udp 192.0.2.1 53", "tcp 198.51.100.7 443"}


@pytest.mark.skipif(os.geteuid() != 0, reason="a network of one's own wants root")
def test_no_packet_goes_anywhere_but_to_the_endpoint(repository: Path) -> None:
    done = subprocess.run(
        ["unshare", "--net", sys.executable, str(WATCHED), str(repository)],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["exit"] == 0, told["stderr"]
    assert set(told["seen"]) >= KNOCKS, "the watch sees nothing"
    assert set(told["seen"]) - KNOCKS == {f"tcp 127.0.0.1 {told['port']}"}
