"""Tests on real servers: `make test-live`, which sets CODER_TEST_LIVE. All other runs leave this folder out.

`CODER_LIVE_REQUIRE` names the servers (`llama.cpp`, `vllm`) whose absence is an error instead of skipped tests;
`CODER_LIVE_ONLY` runs the tests of the named kinds alone.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from coder.model.client import ModelClient
from tests.live.servers import FAULTY, KINDS, Farm, Server, missing
from tests.live.support import FIGURES, client_of

collect_ignore_glob = [] if os.environ.get("CODER_TEST_LIVE") else ["test_*.py"]
_REQUIRED = os.environ.get("CODER_LIVE_REQUIRE", "").split()
_ONLY = os.environ.get("CODER_LIVE_ONLY", "").split() or [*KINDS, *FAULTY]
# Within one server: loading comes first, its death last.
_FIRST, _LAST = ("test_loading", "test_conversation", "test_calls"), "test_death"
_HERE = Path(__file__).parent
_TEST_SECONDS = 1200
_ABSENT: dict[str, str] = {}
_SECONDS: dict[str, float] = defaultdict(float)
_FARMS: list[Farm] = []


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "live(*kinds): needs these real model servers; all of them without names"
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test of the live servers runs once for each kind that its marker names."""
    if "kind" in metafunc.fixturenames:
        marker = metafunc.definition.get_closest_marker("live")
        kinds = marker.args if marker and marker.args else KINDS
        metafunc.parametrize("kind", kinds)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """One server after the other, and each test's own time limit."""
    live = [item for item in items if item.path.parent == _HERE]
    others = [item for item in items if item not in live]
    live = [item for item in live if _kind(item) in _ONLY]
    for item in live:
        kind = _kind(item)
        item.add_marker(pytest.mark.timeout(_TEST_SECONDS))
        if why := missing(kind):
            _ABSENT[kind] = why
            if kind.partition("-")[0] in _REQUIRED:
                pytest.exit(f"required here, but missing: {kind} ({why})", returncode=3)
            item.add_marker(pytest.mark.skip(reason=f"{kind}: {why}"))
    live.sort(key=_place)
    items[:] = others + live


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    kind = report.nodeid.rpartition("[")[2].partition("]")[0]
    if report.when == "call" and "/live/" in report.nodeid:
        _SECONDS[next((each for each in (*FAULTY, *KINDS[::-1]) if kind.startswith(each)), "")] += (
            report.duration
        )


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for line in FIGURES:
        terminalreporter.write_line(line)
    for farm in _FARMS:
        for server in farm.history:
            ready = (
                f"ready after {server.ready_after:.0f} s" if server.ready_after else "loaded in its own test"
            )
            terminalreporter.write_line(f"{server.kind}: {ready}")
    for kind, seconds in _SECONDS.items():
        terminalreporter.write_line(f"{kind}: its tests took {seconds:.0f} s")
    if _ABSENT:
        terminalreporter.write_line(f"could not run: {'; '.join(f'{a} ({b})' for a, b in _ABSENT.items())}")


@pytest.fixture(scope="session")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Farm]:
    made = Farm(tmp_path_factory.mktemp("servers"))
    _FARMS.append(made)
    yield made
    made.stop()


@pytest.fixture
def server(kind: str, farm: Farm) -> Server:
    """The ready server of the test's kind."""
    return farm.ready(kind)


@pytest.fixture
async def client(server: Server) -> AsyncIterator[ModelClient]:
    """A client at temperature 0, connected as the program connects."""
    made = await client_of(server)
    yield made
    await made.close()


@pytest.fixture(autouse=True)
def _name_what_died(request: pytest.FixtureRequest) -> Iterator[None]:
    """When a server died under a test that did not kill it, show its log."""
    yield
    server = (request.node.funcargs or {}).get("server")
    if server is not None and not server.alive and "test_death" not in request.node.nodeid:
        time.sleep(0.2)
        status = server.process.poll()
        print(f"{server.kind} died with status {status}:\n{server.log_end()}", flush=True)


def _place(item: pytest.Item) -> tuple[int, bool, int]:
    name = item.path.stem
    return (
        (*KINDS, *FAULTY).index(_kind(item)),
        name == _LAST,
        _FIRST.index(name) if name in _FIRST else len(_FIRST),
    )


def _kind(item: pytest.Item) -> str:
    return str(item.callspec.params["kind"])  # type: ignore[attr-defined]  # parametrised above
