"""Search file contents with ripgrep, or list files; long answers are summed up, never poured out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sandbox.text import clean_text
from tools.base import Arguments, Context, ToolResult, describe, parameters
from tools.files import inside, similar
from tools.ripgrep import Found, Hit, files, hits
from tools.text import clip

_HITS = 50
_FILES = 100
_WIDTH = 200


class Search:
    name = "search"
    parameters = parameters(
        pattern={"type": "string"},
        path={"type": "string"},
        glob={"type": "string"},
    )

    @property
    def description(self) -> str:
        return describe("search")

    async def run(self, args: Arguments, context: Context) -> ToolResult:
        path = inside(context, args.get("path") or ".")
        if context.sandbox.workspace.kind(path) not in ("file", "dir"):
            return ToolResult(f"{path} does not exist.{await similar(context, path)}", ok=False)
        pattern, glob = args.get("pattern", ""), args.get("glob", "")
        if not pattern and not glob:
            return ToolResult("`pattern` is missing.", ok=False)
        return await (_contents(context, pattern, path, glob) if pattern else _names(context, path, glob))


async def _contents(context: Context, pattern: str, path: str, glob: str) -> ToolResult:
    scope = [*(["--glob", glob] if glob else []), "--glob", "!.git", "--", path]
    found, lines = await hits(context, ["-e", pattern, *scope])
    note = ""
    if found is not None and _is_bad_expression(found):
        note = "[not a valid regular expression; searched as plain text]\n"
        found, lines = await hits(context, ["--fixed-strings", "-e", pattern, *scope])
    elif not lines and "\\|" in pattern:
        # grep's basic syntax, where \| is the alternative; ripgrep takes it for a bar
        found, lines = await hits(context, ["-e", pattern.replace("\\|", "|"), *scope])
        note = "[`\\|` read as alternative]\n" if lines else ""
    if found is None:
        return ToolResult("There is no ripgrep here; use grep through bash.", ok=False)
    if not lines and found.exit == 2 and found.output.strip():
        return ToolResult(clip(clean_text(found.output.strip()), 300), ok=False)
    if not lines:
        where = f" in {path}" if path != "." else ""
        said = "The search was cut short." if found.cut else f"No match{where}{f' ({glob})' if glob else ''}."
        return ToolResult(note + said, truncated=found.cut)
    return ToolResult(note + _grouped(lines, found), truncated=len(lines) > _HITS or found.cut)


def _is_bad_expression(found: Found) -> bool:
    return found.exit == 2 and "regex" in found.output[:2_000] and "\x00" not in found.output


def _grouped(lines: Sequence[Hit], found: Found) -> str:
    """Hits under their files. Of too many, every file shows a few and the rest is counted."""
    counts = Counter(hit.path for hit in lines)
    share = _HITS if len(lines) <= _HITS else max(3, _HITS // len(counts))
    shown: Counter[str] = Counter()
    out: list[str] = []
    for hit in lines:
        if shown[hit.path] >= share or shown.total() >= _HITS:
            continue
        if not shown[hit.path]:
            out.append(clean_text(hit.path))
        shown[hit.path] += 1
        out.append(f"{hit.line:>6}: {clip(clean_text(hit.text), _WIDTH)}")
    left = counts - shown
    if left:
        listed = ", ".join(f"{clean_text(name)} {count}" for name, count in left.most_common(15))
        more = f", and {len(left) - 15} other files" if len(left) > 15 else ""
        plus = "at least " if found.cut else ""
        out.append(f"[{plus}{left.total()} more hits: {listed}{more}]")
    return "\n".join(out)


async def _names(context: Context, path: str, glob: str) -> ToolResult:
    pattern = glob if "/" in glob or any(sign in glob for sign in "*?[") else f"*{glob}*"
    found, names = await files(context, pattern, path)
    if found is None:
        return ToolResult("There is no ripgrep here; use find through bash.", ok=False)
    if found.exit == 2 and not names and found.output.strip():
        return ToolResult(clip(clean_text(found.output.strip()), 300), ok=False)
    if not names:
        return ToolResult(f"No file matches {pattern}.")
    more = [f"… {len(names) - _FILES} more files"] if len(names) > _FILES else []
    listed = [clean_text(name) for name in names[:_FILES]]
    return ToolResult("\n".join([*listed, *more]), truncated=bool(more))
