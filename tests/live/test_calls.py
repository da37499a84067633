"""Tool calls through the servers' real parsers, and the calls that get past those parsers."""

from __future__ import annotations

import json

import pytest

from coder.model import messages
from coder.model.client import ModelClient
from coder.model.messages import ToolCall
from coder.model.thinking import Thinking
from tests.live.servers import Server
from tests.live.support import BASH, OFF, ask, asking, ceaseless, forced, report

VLLM = pytest.mark.live("vllm", "vllm-nemotron")
EVERY = pytest.mark.live
# vLLM's parsers hand out a tag that the model spelt in several tokens, which only a forced text does.
SPELT = ("", "<tool_call>")


def written(server: Server, *commands: str) -> str:
    """Calls of bash as this server's parser expects them."""
    if server.nemotron:
        bodies = [
            f"<function=bash>\n<parameter=command>\n{each}\n</parameter>\n</function>" for each in commands
        ]
    else:
        bodies = [json.dumps({"name": "bash", "arguments": {"command": each}}) for each in commands]
    return "\n".join(f"<tool_call>\n{body}\n</tool_call>" for body in bodies)


def commands(calls: tuple[ToolCall, ...]) -> list[object]:
    assert not any(call.error for call in calls)
    assert {call.name for call in calls} <= {"bash"}
    return [call.arguments.get("command") for call in calls]


@VLLM
@pytest.mark.parametrize("wanted", [("ls -l",), ("ls -l", "pwd")], ids=["one", "two"])
async def test_calls_are_parsed_by_the_server(
    server: Server, client: ModelClient, wanted: tuple[str, ...]
) -> None:
    extra = forced(server, written(server, *wanted))
    reply = await ask(
        client, *asking("List the files."), extra=extra, tools=[BASH], max_tokens=120, thinking=OFF
    )
    assert commands(reply.calls) == list(wanted)
    assert reply.recovered == 0
    assert reply.finish == "tool_calls"
    assert reply.text.strip() in SPELT
    assert len({call.id for call in reply.calls}) == len(wanted)


@VLLM
async def test_a_required_call_comes_from_the_model_itself(server: Server, client: ModelClient) -> None:
    conversation = asking("List the files in /srv.", "You use the tool bash.")
    reply = await ask(
        client,
        *conversation,
        extra={"tool_choice": "required"},
        tools=[BASH],
        max_tokens=120,
        thinking=OFF,
    )
    report(f"{server.kind}: required calls {[(call.name, call.arguments) for call in reply.calls]}")
    assert reply.calls
    assert {call.name for call in reply.calls} == {"bash"}
    if not server.nemotron:  # vLLM holds JSON calls to the schema; of XML ones it forces the name alone
        assert all(isinstance(command, str) for command in commands(reply.calls))


@pytest.mark.live("vllm-nemotron")
async def test_a_call_after_a_thought(server: Server, client: ModelClient) -> None:
    extra = ceaseless(server, written(server, "ls"))
    reply = await ask(
        client,
        *asking("Explain in 100 words how to list files."),
        extra=extra,
        tools=[BASH],
        max_tokens=120,
        thinking=Thinking(12),
    )
    assert reply.thinking
    assert commands(reply.calls) == ["ls"]


@VLLM
async def test_code_that_holds_the_formats_own_tags(server: Server, client: ModelClient) -> None:
    """JSON carries them whole. vLLM's qwen3_coder ends the value at the first closing tag, and says nothing."""
    code = "print('</parameter>')\nprint(2)"
    extra = forced(server, written(server, code))
    reply = await ask(client, *asking("Print it."), extra=extra, tools=[BASH], max_tokens=120, thinking=OFF)
    (command,) = commands(reply.calls)
    report(f"{server.kind}: code with </parameter> arrived as {command!r}")
    assert command == ("print('" if server.nemotron else code)


@pytest.mark.live("llama.cpp")
async def test_a_call_that_leaks_into_the_text_is_recovered(server: Server, client: ModelClient) -> None:
    """The 1.5B model writes its calls as fenced JSON, which llama.cpp passes on as text."""
    reply = await ask(
        client,
        *asking("List the files in /srv with the tool bash.", "You act by calling tools."),
        extra={},
        tools=[BASH],
        max_tokens=100,
        thinking=OFF,
    )
    assert reply.calls, reply.text
    report(f"{server.kind}: {len(reply.calls)} calls, {reply.recovered} of them recovered from text")
    assert all("/srv" in str(command) for command in commands(reply.calls))
    assert "```" not in reply.text


@pytest.mark.live("llama.cpp-nemotron")
async def test_a_call_without_its_outer_tag_is_recovered(server: Server, client: ModelClient) -> None:
    """llama.cpp parses nothing without `<tool_call>`, and takes no grammar beside tools."""
    bare = written(server, "ls /srv").removeprefix("<tool_call>\n").removesuffix("\n</tool_call>")
    reply = await ask(
        client,
        *asking("List the files."),
        extra=forced(server, bare),
        max_tokens=60,
        thinking=OFF,
        known_tools={"bash"}.__contains__,
    )
    assert commands(reply.calls) == ["ls /srv"]
    assert reply.recovered == 1


@EVERY
async def test_a_call_and_its_result_go_back_as_history(server: Server, client: ModelClient) -> None:
    earlier = {
        "role": "assistant",
        "content": "I look.",
        "reasoning": "There may be files.",
        "reasoning_content": "There may be files.",
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "bash", "arguments": '{"command": "ls"}'},
            }
        ],
    }
    result = "zebra.txt\n" * 40
    asked = asking("Which file is there?")
    history = [*asked, earlier, messages.tool("call_1", result)]
    without = await client.stream(asked, tools=[BASH], max_tokens=1, thinking=OFF)
    reply = await client.stream(history, tools=[BASH], max_tokens=1, thinking=OFF)
    assert reply.usage.prompt - without.usage.prompt > server.count(result), "the template dropped something"
