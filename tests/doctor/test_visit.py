"""A whole visit: the order, the bounds in time, a server that dies, and what is kept."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

from coder.doctor.patient import Patient
from coder.doctor.verdict import Row, Verdict, exit_status
from coder.doctor.visit import PROBES, facts, visit
from coder.model.endpoint import Endpoint
from coder.model.facts import Facts
from tests.doctor.support import NEMOTRON, VLLM, Served, patient
from tests.scripted_server import ScriptedServer, Turn


async def rows_of(ill: Patient, *, quick: bool = False, seconds: float = 60.0) -> list[Row]:
    return [row async for row in visit(ill, quick=quick, seconds=seconds, begin=lambda _: None)]


async def test_a_healthy_server_gets_one_healthy_row_a_probe() -> None:
    async with patient(Served()) as ill:
        rows = await rows_of(ill)
        found = facts(rows, ill, None)
    assert [(row.probe, row.verdict) for row in rows] == [(probe.name, Verdict.OK) for probe in PROBES]
    assert exit_status(rows) == 0
    assert replace(found, prefill_rate=None) == Facts(True, True, True, True, 32768, None, ())
    assert found.prefill_rate


async def test_the_quick_visit_asks_the_cheap_things_only() -> None:
    async with patient(Served()) as ill:
        rows = await rows_of(ill, quick=True)
    assert [row.probe for row in rows] == [
        "server",
        "streaming",
        "tool calls",
        "closing tags",
        "reasoning",
        "thinking budget",
    ]


async def test_what_a_quick_visit_does_not_tell_stays_as_it_was() -> None:
    earlier = Facts(tool_calls=False, cached_reported=False, prefill_rate=900.0)
    async with patient(Served()) as ill:
        found = facts(await rows_of(ill, quick=True), ill, earlier)
    assert found == Facts(True, True, True, False, 32768, 900.0, ())


async def test_refused_fields_are_kept() -> None:
    async with patient(Served(budget="refused")) as ill:
        found = facts(await rows_of(ill, quick=True), ill, None)
    assert found.refused == ("thinking_token_budget",)
    assert found.budget_held is False


async def test_when_the_server_dies_the_rest_is_skipped_with_that_reason() -> None:
    served = Served()

    async with patient(served) as ill:
        rows = []
        async for row in visit(ill, quick=False, seconds=60, begin=lambda _: None):
            rows.append(row)
            if row.probe == "streaming":
                assert served.server
                served.server.__exit__()
                await ill.transport.close()
    assert (rows[2].probe, rows[2].verdict) == ("tool calls", Verdict.BROKEN)
    assert "the server died" in rows[2].seen
    assert {row.seen for row in rows[3:]} == {"skipped: the server died"}
    assert {row.verdict for row in rows[3:]} == {Verdict.NOT_TOLD}


async def test_a_server_that_hangs_is_broken_within_the_time_that_was_given() -> None:
    with ScriptedServer([Turn(text="x" * 100, hang_after=1)], after="repeat") as server:
        ill = Patient.of(Endpoint(server.base_url, server.model, backend=VLLM), NEMOTRON)
        rows = await rows_of(ill, seconds=1.0)
        await ill.close()
    assert rows[1].verdict is Verdict.BROKEN
    assert rows[1].seen.startswith("not done within 1 s")
    assert exit_status(rows) == 1


async def test_a_server_that_answers_errors_is_told_in_its_own_words() -> None:
    with ScriptedServer(
        [Turn(status=500, body={"error": {"message": "out of memory"}})], after="repeat"
    ) as server:
        ill = Patient.of(Endpoint(server.base_url, server.model, backend=VLLM), NEMOTRON)
        rows = await rows_of(ill)
        await ill.close()
    assert rows[1].verdict is Verdict.BROKEN
    assert "out of memory" in rows[1].seen


async def test_probes_for_which_no_time_is_left_are_not_told() -> None:
    async with patient(Served()) as ill:
        rows = await rows_of(ill, seconds=0.0)
    assert {row.verdict for row in rows} == {Verdict.NOT_TOLD}
    assert "--timeout" in rows[0].seen


async def test_a_connection_that_the_server_closed_meanwhile_is_opened_again() -> None:
    answer = json.dumps({"choices": [{"message": {"content": "fine"}, "finish_reason": "stop"}]})
    served: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        assert length
        served.append(await reader.readexactly(int(length[1])))
        if len(served) > 1:
            told = f"Content-Type: application/json\r\nContent-Length: {len(answer)}"
            writer.write(f"HTTP/1.1 200 OK\r\n{told}\r\n\r\n{answer}".encode())
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        ill = Patient.of(Endpoint(f"http://127.0.0.1:{port}/v1", "any", backend=VLLM), NEMOTRON)
        heard = await ill.ask("hello", max_tokens=8)
        await ill.close()
    assert (heard.answer.text, len(served)) == ("fine", 2)
