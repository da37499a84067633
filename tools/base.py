"""What a tool is: its result, the state of the attempt that it works on, and the box that finds it by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Protocol

from sandbox.base import Sandbox
from sandbox.errors import FileRefused
from sandbox.text import clean_text
from tools.arguments import fit
from tools.dialects import NEMOTRON, Dialect, route
from tools.text import clip

Arguments = Mapping[str, Any]
"""Arguments that fit the tool's schema."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestCounts:
    __test__: ClassVar[bool] = False

    passed: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def ok(self) -> bool:
        """Something passed and nothing failed."""
        return self.passed > 0 and not self.failed and not self.errors

    def __str__(self) -> str:
        named = {
            "failed": self.failed,
            "errors": self.errors,
            "passed": self.passed,
            "skipped": self.skipped,
        }
        return ", ".join(f"{count} {name}" for name, count in named.items() if count) or "no tests"


@dataclass(frozen=True, slots=True)
class Step:
    text: str
    done: bool = False


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a call came to. `text` is all that the model sees; the rest is for faces, limits and the journal."""

    text: str
    _: KW_ONLY
    ok: bool = True
    exit: int | None = None
    """Exit status of the command behind it, where there was one."""
    diff: str = ""
    """Unified diff of what the call changed, for display."""
    tests: TestCounts | None = None
    plan: tuple[Step, ...] | None = None
    finished: bool = False
    """The model ended the attempt; with `ok` false it gave up."""
    truncated: bool = False


@dataclass(frozen=True, slots=True)
class Undo:
    """One edit of a file: its content before (None: it did not exist) and after."""

    before: bytes | None
    after: bytes


@dataclass(slots=True, kw_only=True)
class Context:
    """The state of one attempt; its tools read and change it."""

    sandbox: Sandbox
    command_timeout: float = 300.0
    """Seconds for one command; the model can ask for less, not for more."""
    test_command: str = ""
    """How this repository runs its tests; empty: pytest."""
    python: str = "python3"
    """The interpreter inside the sandbox that has pytest."""
    on_output: Callable[[bytes], None] | None = None
    """Gets output while a command runs."""
    needs_change: bool = True
    """`submit` is refused while the workspace is unchanged."""
    needs_check: bool = True
    """`submit` is refused while the last edit is untested."""
    plan: tuple[Step, ...] = ()
    edits: int = 0
    edits_since_check: int = 0
    """Edits since tests or another program last ran."""
    asked_back: bool = False
    """Whether the model has been asked once if it means to give up without an edit."""
    last_tests: TestCounts | None = None
    undo: dict[str, list[Undo]] = field(default_factory=dict)
    ripgrep_inside: bool = True
    """Cleared once the sandbox turns out to have no `rg`."""

    def note_edit(self) -> None:
        self.edits += 1
        self.edits_since_check += 1

    def note_check(self, tests: TestCounts | None = None) -> None:
        """Tests or a reproduction ran to their end."""
        self.edits_since_check = 0
        if tests is not None:
            self.last_tests = tests


class Tool(Protocol):
    """One thing that the model may call. `run` gets arguments that fit `parameters`."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    @property
    def description(self) -> str: ...

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        """Failure is a result with `ok` false. Raises SandboxError only when the sandbox itself is lost."""


@cache
def describe(module: str) -> str:
    """The description that lies beside the module of the same name."""
    return Path(__file__).with_name(f"{module}.md").read_text(encoding="utf-8").strip()


def parameters(required: Sequence[str] = (), **properties: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema of an object."""
    return {"type": "object", "properties": properties, "required": list(required)}


@dataclass(frozen=True, slots=True)
class Call:
    """A call that can be run: the tool, its fitting arguments, and the arguments that nobody knows."""

    tool: Tool
    arguments: dict[str, Any]
    ignored: tuple[str, ...] = ()
    repaired: bool = False
    """The name or an argument had to be put right."""


class Toolbox:
    """The tools of one attempt under the names of one dialect. Schemas never change during its life."""

    def __init__(self, tools: Sequence[Tool], dialect: Dialect = NEMOTRON) -> None:
        self.dialect = dialect
        self._tools = {tool.name: tool for tool in tools}

    @property
    def names(self) -> list[str]:
        """The names that the model sees, in order."""
        return [self.dialect.shown(name) for name in self._tools]

    def schemas(self) -> list[dict[str, Any]]:
        """OpenAI function schemas: fixed order, sorted keys, so that prompts stay byte-identical."""
        return [
            {
                "function": {
                    "description": tool.description,
                    "name": self.dialect.shown(name),
                    "parameters": _sorted(tool.parameters),
                },
                "type": "function",
            }
            for name, tool in self._tools.items()
        ]

    def knows(self, name: str) -> bool:
        """Whether a call of this name leads to one of the tools."""
        found = route(name, {}, self.dialect)
        return found is not None and (not found.tool or found.tool in self._tools)

    def resolve(self, name: str, arguments: Mapping[str, Any] | str) -> Call | ToolResult:
        """Find the meant tool and put its arguments right; a ToolResult says why that cannot be done.

        `arguments` may be JSON text, as servers send it.
        """
        found = route(name, arguments, self.dialect)
        if found is None or (found.tool and found.tool not in self._tools):
            return ToolResult(f"There is no such tool. Tools: {', '.join(self.names)}.", ok=False)
        if not found.tool:
            return ToolResult("Noted.")
        tool = self._tools[found.tool]
        fitted = fit(tool.name, tool.parameters, found.arguments)
        if isinstance(fitted, str):
            return ToolResult(f"{self.dialect.shown(tool.name)}: {fitted}", ok=False)
        repaired = name != self.dialect.shown(tool.name) or fitted.arguments != arguments
        return Call(tool, fitted.arguments, fitted.ignored, repaired)

    async def run(self, call: Call, context: Context) -> ToolResult:
        """Run a resolved call. What the workspace refuses becomes a result; a lost sandbox passes through."""
        try:
            result = await call.tool.run(call.arguments, context)
        except FileRefused as refusal:
            result = ToolResult(f"Refused: {_sentences(str(refusal), refusal.hint)}", ok=False)
        except OSError as error:
            result = ToolResult(f"Failed: {_sentences(error.strerror or str(error))}", ok=False)
        return _finished(result, call.ignored)

    async def call(self, name: str, arguments: Mapping[str, Any] | str, context: Context) -> ToolResult:
        """resolve() and run() in one."""
        resolved = self.resolve(name, arguments)
        return resolved if isinstance(resolved, ToolResult) else await self.run(resolved, context)


def _sentences(*parts: str) -> str:
    """Parts of a message as sentences."""
    whole = (part[0].upper() + part[1:] if index else part for index, part in enumerate(parts) if part)
    return " ".join(part if part.endswith((".", "?", "!")) else f"{part}." for part in whole)


def _finished(result: ToolResult, ignored: Sequence[str]) -> ToolResult:
    """The result as it leaves the room: nothing in it can steer a terminal, whatever a file or its name held."""
    text = result.text
    if ignored:
        text += f"\n[unknown argument ignored: {', '.join(clip(name, 40) for name in ignored[:3])}]"
    return replace(result, text=clean_text(text), diff=clean_text(result.diff))


def _sorted(schema: Any) -> Any:
    if isinstance(schema, Mapping):
        return {key: _sorted(schema[key]) for key in sorted(schema)}
    return [_sorted(item) for item in schema] if isinstance(schema, list) else schema
