"""A Ray cluster of two nodes on this machine, as `ray start` makes them: one is lost half way."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.evals import made
from tests.evals.test_run import predicted, report, results, steady
from tests.scripted_server import ScriptedServer

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(580)]
HEAD, SECOND = "127.0.0.2", "127.0.0.3"
"""Loopback by another name: Ray takes 127.0.0.1 for the address by which this machine reaches others."""
CPUS = 2
"""Of each node, as it says; what this machine has is not asked."""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def node(*words: str, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ray start` as a process group of its own, which ends with the context."""
    ray = Path(sys.executable).with_name("ray")
    common = [
        "--block",
        "--num-cpus",
        str(CPUS),
        "--memory",
        str(4 * 10**9),
        "--object-store-memory",
        str(10**8),
    ]
    environ = made.environ(folder) | {
        "RAY_USAGE_STATS_ENABLED": "0",
    }
    with open(folder / f"node-{len(list(folder.iterdir()))}.log", "wb") as log:
        process = subprocess.Popen(
            [str(ray), "start", *words, *common], env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        lose(process)


def lose(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Its address, and the node that may be lost."""
    port = free_port()
    address = f"{HEAD}:{port}"
    head = ["--head", "--node-ip-address", HEAD, "--port", str(port), "--include-dashboard", "false"]
    with node(*head, folder=tmp_path):
        _wait_for(port)
        with node("--address", address, "--node-ip-address", SECOND, folder=tmp_path) as second:
            _nodes(address, 2)
            yield address, second


def _wait_for(port: int) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((HEAD, port), 1):
            return
        time.sleep(0.2)
    raise AssertionError("the head does not answer")


def _nodes(address: str, count: int) -> None:
    """Wait until so many nodes are there; asked in a process of its own."""
    ask = (
        "import ray, sys, time\n"
        f"ray.init({address!r}, log_to_driver=False, logging_level='ERROR')\n"
        f"until = time.monotonic() + 90\n"
        f"while sum(node['Alive'] for node in ray.nodes()) < {count}:\n"
        "    time.sleep(0.2)\n"
        "    if time.monotonic() > until: sys.exit('the nodes did not come')\n"
    )
    subprocess.run([sys.executable, "-c", ask], check=True, timeout=120)


def test_a_lost_node_changes_nothing(cluster: tuple[str, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    address, second = cluster
    data, alone, spread = made.data_set(tmp_path, 40), tmp_path / "alone", tmp_path / "spread"
    with ScriptedServer([made.answer], after="repeat") as server:
        one = made.run_words(data, alone, server.base_url, "--workers", "2", "-q")
        assert made.done(one, tmp_path).returncode == 0
        words = made.run_words(data, spread, server.base_url, "--workers", "auto", "-q")
        words += ["--executor", "ray", "--ray-address", address]
        process = subprocess.Popen(words, env=made.environ(tmp_path), stderr=subprocess.PIPE, text=True)
        until = time.monotonic() + 240
        while len(results(spread)) < 15 and process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        half_way = len(results(spread))
        lose(second)
        said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said
    assert 15 <= half_way < 40
    assert steady(spread) == steady(alone)
    assert report(spread, tmp_path) == report(alone, tmp_path)
    assert predicted(spread) == predicted(alone)
    assert Counter(each["status"] for each in results(spread).values())["resolved"] == 24
    assert all((path.parent / "journal.jsonl").is_file() for path in spread.glob("instances/*/*/result.json"))


def test_several_servers_share_the_work(cluster: tuple[str, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    data, output = made.data_set(tmp_path, 8), tmp_path / "out"
    with (
        ScriptedServer([made.answer], after="repeat") as one,
        ScriptedServer([made.answer], after="repeat") as other,
    ):
        words = made.run_words(
            data, output, one.base_url, "--base-url", other.base_url, "--workers", "4", "-q"
        )
        done = made.done([*words, "--executor", "ray", "--ray-address", cluster[0]], tmp_path)
        assert done.returncode == 0, done.stderr
        used = Counter(each["endpoint"] for each in results(output).values())
        assert set(used) == {one.base_url, other.base_url}
        assert min(used.values()) >= 2


def test_no_cluster_is_said(tmp_path: Path) -> None:
    words = made.run_words(made.data_set(tmp_path, 1), tmp_path / "out", "http://127.0.0.1:9/v1")
    done = made.done([*words, "--executor", "ray", "--ray-address", f"127.0.0.1:{free_port()}"], tmp_path)
    assert done.returncode == 2
    assert "no Ray cluster answers" in done.stderr
