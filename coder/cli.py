"""The command line: parse and dispatch. Everything heavy is imported by the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from coder import __version__
from coder.errors import CoderError, UsageError
from coder.groups import Evaluation, WithPrompt
from coder.lookup import keep_out

Command = Callable[..., Any]


def _options(command: Command) -> Command:
    """The flags that all work has."""
    for option in reversed(_SHARED):
        command = option(command)
    return command


_MODES = click.Choice(["plan", "ask", "edits", "auto"])
_SHARED = [
    click.option("-C", "directory", type=click.Path(path_type=Path), default=Path(), help="The repository."),
    click.option("--model", help="The model's name on the server."),
    click.option("--base-url", help="The model server, such as http://127.0.0.1:8000/v1."),
    click.option("--profile", help="What is known of the model; chosen by its name otherwise."),
    click.option("--thinking", help="off, low, full, or a number of tokens."),
    click.option("--routine", help="The same, for steps after which nothing failed; the profile decides."),
    click.option("--strategy", type=click.Choice(["auto", "agent", "repair"]), help="How to work; the profile decides."),
    click.option("--sandbox", type=click.Choice(["auto", "docker", "bubblewrap", "none"]), help="Where commands run."),
    click.option("--image", help="The Docker image that commands run in."),
    click.option("--runtime", help="The engine's runtime for containers, such as runsc (gVisor)."),
    click.option("--allow-host", "allow_hosts", multiple=True, metavar="HOST[:PORT]", help="Let commands reach this host by HTTP(S), also *.DOMAIN; may be given again."),
    click.option("--unsafe-no-sandbox", is_flag=True, help="Run commands on this machine, as you. For machines that are thrown away."),
    click.option("--test", metavar="CMD", help="The test command; pytest otherwise."),
    click.option("--max-turns", type=int, metavar="N", help="Cap on model requests."),
    click.option("--max-tokens", type=int, metavar="N", help="Cap on tokens, in and out together."),
    click.option("--timeout", type=float, metavar="SECONDS", help="Cap on wall time."),
    click.option("--apply/--no-apply", default=None, help="Change your files when every gate is passed."),
    click.option("-y", "--yes", is_flag=True, help="Agree to the set-up that `coder init` would show, and do it first."),
    click.option("--allow-runs-later", "runs_later", flag_value="allow", default=None, help="Let the change touch what runs by itself later: CI workflows, hooks, build scripts."),
    click.option("--candidates", type=click.IntRange(1, 8), metavar="N", help="Attempts side by side, from which one is chosen by what their tests say."),
    click.option("--reviewer/--no-reviewer", "reviewer", default=None, callback=lambda context, option, value: {True: "on", False: "off"}.get(value), help="Have the change reviewed by a model before it counts; on where your settings name one."),
    click.option("--branch", metavar="NAME", default="", help="Commit the change to a new branch."),
    click.option("--patch", type=click.Path(path_type=Path), metavar="FILE", help="Write the patch here too."),
    click.option("--output-format", type=click.Choice(["text", "json", "jsonl"]), help="What standard output gets."),
    click.option("--session", type=click.Path(path_type=Path), metavar="DIR", help="Where to keep this run."),
    click.option("--mode", type=_MODES, help="In a terminal: what may be done without asking; auto where there is a sandbox."),
    click.option("--headless", is_flag=True, help="Never ask anything, and open no window."),
    click.option("--plain", is_flag=True, help="Words that are only ever appended: no colours, no window."),
    click.option("-q", "--quiet", is_flag=True, help="No progress."),
    click.option("-v", "--verbose", is_flag=True, help="Show answers and tool results whole."),
]  # fmt: skip


@click.group(
    cls=WithPrompt, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.version_option(__version__, prog_name="coder")
def cli() -> None:
    """An autonomous coding agent for models that you serve yourself.

    \b
    Try it, with nothing installed:    coder demo
    Work together in the terminal:     coder, or coder "write tests for the parser"
    The same in a browser:             coder --serve-web
    Repair what fails here:            coder fix "failing test"
    Repair one test, change the files: coder fix tests/test_cart.py::test_total --apply
    Set up what its tests need, once:  coder init
    Review this branch:                coder review
    Look at what was done:             coder show

    The model works on a copy of the repository in a sandbox without network. Your files change only with
    --apply (or when you say yes), and only when the failing test was seen to fail before and pass after.

    \b
    Exit status: 0 done, every gate passed   1 no acceptable patch   2 usage or configuration
                 3 a limit was reached       4 the model server failed   5 no usable sandbox   130 interrupted
    """


@cli.command(hidden=True, name="open")
@click.argument("words", nargs=-1)
@_options
@click.option("--serve-web", is_flag=True, help="Show the window in a browser on this machine.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="For --serve-web; a free one otherwise."
)
def open_window(words: tuple[str, ...], serve_web: bool, port: int, **flags: Any) -> None:
    """Open the window, with a task or without."""
    if serve_web:
        from coder.web.command import serve

        raise SystemExit(serve(sys.argv[1:], port, has_task=bool(words), say=click.echo))
    from coder.start import start

    raise SystemExit(start("run", {**flags, "task": " ".join(words), "open": True}))


@cli.command()
@click.argument("run", default="")
@_options
def resume(run: str, **flags: Any) -> None:
    """Go on with a past session: RUN is an id or the beginning of one; without it the newest."""
    from coder import sessions
    from coder.start import start

    found = sessions.locate(sessions.home(os.environ), run)
    raise SystemExit(start("run", {**flags, "task": "", "open": True, "resume": found.name}))


@cli.command()
@click.argument("task")
@_options
def fix(**flags: Any) -> None:
    """Fix a failing test or a described bug. TASK may name a test; `-` reads it from standard input.

    Without a test named, the failing ones are found. Reproduces the failure, changes a copy, and judges
    the change in clean sandboxes.
    """
    raise SystemExit(_start("fix", flags))


@cli.command()
@click.argument("task")
@_options
def run(**flags: Any) -> None:
    """Do any other task: write tests, document, refactor. No failing test is expected."""
    raise SystemExit(_start("run", flags))


@cli.command()
@click.argument("task", default="")
@click.option("-C", "directory", type=click.Path(path_type=Path), default=Path(), help="The repository.")
@click.option(
    "--base", metavar="REV", default="", help="What to compare with; otherwise where this branch began."
)
@click.option(
    "--diff",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Review this patch instead; - is standard input.",
)
@click.option(
    "--format",
    type=click.Choice(["text", "json", "sarif", "github"]),
    default="text",
    show_default=True,
    help="What standard output gets.",
)
@click.option("--model", help="The model's name on the server.")
@click.option("--base-url", help="The model server, such as http://127.0.0.1:8000/v1.")
@click.option("--profile", help="What is known of the model; chosen by its name otherwise.")
@click.option(
    "--samples",
    "review_samples",
    type=click.IntRange(1, 20),
    help="Reviews that are weighed together; 3 otherwise.",
)
@click.option("--test", metavar="CMD", help="The test command; otherwise pytest on what concerns the change.")
@click.option(
    "--tests/--no-tests", default=True, help="Run them: a test that the change breaks is a finding."
)
@click.option("--sandbox", type=click.Choice(["auto", "docker", "bubblewrap"]), help="Where proofs are run.")
@click.option("--image", help="The Docker image that they run in.")
@click.option("--timeout", type=float, metavar="SECONDS", help="Cap on wall time.")
@click.option("--plain", is_flag=True, help="Words that are only ever appended.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def review(**flags: Any) -> None:
    """Review a change: this branch with what is not committed, or a patch. TASK may say what it is for.

    A finding is shown only when something backs it: a test or a command that fails with the change and works without,
    or the changed line, when half of the reviews copy it.

    \b
    Exit status: 0 nothing found   1 findings   others as for coder fix
    """
    from coder.reviews.command import reviewed

    raise SystemExit(reviewed(flags))


@cli.command()
@click.option("-C", "directory", type=click.Path(path_type=Path), default=Path(), help="The repository.")
@click.option("-y", "--yes", is_flag=True, help="Agree to what is shown.")
@click.option(
    "--sandbox", type=click.Choice(["auto", "docker", "bubblewrap"]), help="Where it is set up, and used."
)
@click.option("--image", help="Set it up in this Docker image.")
@click.option("--show", is_flag=True, help="Only show what would be done, and whether it was done.")
@click.option("--clean", is_flag=True, help="Remove this project's environments, and old ones.")
@click.option("--timeout", type=click.FloatRange(min=1.0), default=1800.0, show_default=True, metavar="SECONDS", help="Cap on the whole set-up.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="One object on standard output.")
def init(as_json: bool, **flags: Any) -> None:
    """Set this project's dependencies up, once, so that every later run has them without a network.

    Shows the commands first, where they run and what they can reach, and asks. They run in a sandbox, on a copy of
    the repository, with a logged way to web servers; what they make is kept in your cache and shown read-only ever
    after. A changed lock file or recipe makes it anew.

    \b
    The recipe is the first of:
      [environment] in .coder.toml      setup = ["pip install -e ."], image, dockerfile, inputs, env, path, python
      .devcontainer/devcontainer.json   image or build, containerEnv, onCreate-, updateContent-, postCreateCommand
      what the files tell               uv, poetry, pdm, pip, npm, pnpm, yarn, cargo, go, maven, gradle

    \b
    Look first:                   coder init --show
    In a script:                  coder init --yes --json
    With a private index:         [environment] pass = ["PIP_INDEX_URL"] in your own configuration file
    Exit status: 0 set up (or nothing to do)   1 it failed   2 not agreed to   5 no usable sandbox
    """
    from coder.init.command import Options, initialise

    raise SystemExit(initialise(Options(json=as_json, **flags)))


@cli.command()
@click.option("--backend", type=click.Choice(["llama.cpp", "vllm", "sglang", "trtllm"]), default="llama.cpp", show_default=True, help="The server.")  # fmt: skip
@click.option("--model", "weights", default="", metavar="MODEL", help="llama.cpp: a .gguf file, hf:OWNER/REPO/FILE, or nothing for the small default model. Others: a folder or a name; NVIDIA's weights otherwise.")  # fmt: skip
@click.option("--hardware", type=click.Choice(["auto", "b200", "h200", "2xh100", "4xa100", "spark", "rtxpro6000"]), help="The GPUs to serve on; auto asks nvidia-smi. Not for llama.cpp.")  # fmt: skip
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=int, help="The port to listen on; 8080 with llama.cpp, 8000 with the others.")
@click.option("--context", type=int, help="Tokens of context; 16384 with llama.cpp, else the hardware's own.")
@click.option("--threads", type=int, default=0, help="CPU threads for llama.cpp; 0 is one for each core.")
@click.option("--slots", type=click.IntRange(1, 32), help="Requests that llama.cpp serves side by side; 2 otherwise, and --candidates gains from as many.")  # fmt: skip
@click.option("--start", is_flag=True, help="Start that server, instead of only printing its command.")
@click.option("--force", is_flag=True, help="Go on where the model does not fit the GPUs.")
def serve(
    backend: str,
    weights: str,
    hardware: str | None,
    host: str,
    port: int | None,
    context: int | None,
    threads: int,
    slots: int | None,
    start: bool,
    force: bool,
) -> None:
    """Serve a model on this machine with the bundled llama.cpp.

    With --backend vllm, sglang or trtllm: print the command that serves Nemotron 3 Super on the GPUs here (or on
    the --hardware that you name), say whether it fits, and run it with --start. The output is a shell script.
    """
    if backend == "llama.cpp":
        if hardware or start or force:
            raise UsageError("--hardware, --start and --force are for --backend vllm, sglang or trtllm")
        from coder.model.serve import serve_forever

        port, context = 8080 if port is None else port, 16384 if context is None else context
        slots = slots or 2
        raise SystemExit(serve_forever(weights, host=host, port=port, context=context, threads=threads, slots=slots))  # fmt: skip
    if threads or slots:
        raise UsageError("--threads and --slots are for llama.cpp alone")
    from coder.model.launch.run import launch

    status = launch(
        backend,
        hardware=hardware or "auto",
        model=weights,
        host=host,
        port=8000 if port is None else port,
        context=context or 0,
        start=start,
        force=force,
        say=click.echo,
    )
    raise SystemExit(status)


@cli.command()
@click.option("--keep", type=click.Path(path_type=Path), metavar="DIR", help="Make the sample repository here, and keep it.")  # fmt: skip
@click.option("--base-url", help="Use this model server instead of the bundled one.")
@click.option("-v", "--verbose", is_flag=True, help="Show answers and tool results whole.")
def demo(keep: Path | None, base_url: str | None, verbose: bool) -> None:
    """From nothing to a fixed test: a broken sample repository, a small model, the bundled sandbox."""
    from coder.demo import run_demo

    raise SystemExit(run_demo(keep=keep, base_url=base_url, verbose=verbose))


@cli.command()
@click.option("--base-url", help="The model server; else the configured one, or the first on this machine.")
@click.option("--model", help="The model's name on the server.")
@click.option("--profile", help="What is known of the model; chosen by its name otherwise.")
@click.option("--json", "as_json", is_flag=True, help="One object on standard output.")
@click.option("--quick", is_flag=True, help="Only the cheap probes.")
@click.option(
    "--sandbox/--no-sandbox", default=None, help="Only the sandboxes of this machine, or all but them."
)
@click.option("--timeout", type=click.FloatRange(min=1.0), default=120.0, show_default=True, metavar="SECONDS", help="Cap on the whole examination.")  # fmt: skip
@click.option("-v", "--verbose", is_flag=True, help="Show times and figures too.")
def doctor(as_json: bool, **flags: Any) -> None:
    """Examine a model server and this machine's sandboxes: what works, what does not, what that costs, what mends it.

    \b
    Exit status: 0 all is well   1 something is degraded or broken   4 no server answers
    """
    from coder.doctor.command import Options, examine

    raise SystemExit(examine(Options(json=as_json, **flags)))


@cli.command()
@click.option("-n", "count", type=int, default=20, show_default=True, help="How many.")
def sessions(count: int) -> None:
    """List past runs, newest first."""
    from coder.show import list_runs

    click.echo(list_runs(count), nl=False)


@cli.command()
@click.argument("run", default="")
@click.option(
    "--output-format", type=click.Choice(["text", "json", "jsonl"]), default="text", show_default=True
)
@click.option(
    "--html", "page", type=click.Path(path_type=Path), metavar="FILE", help="Write one HTML page instead."
)
@click.option("-v", "--verbose", is_flag=True, help="Answers and tool results whole.")
def show(run: str, output_format: str, page: Path | None, verbose: bool) -> None:
    """Show a past run: RUN is an id, the beginning of one, or a path; without it the newest."""
    from coder.show import show_run, write_page

    if page is not None:
        write_page(run, page)
    else:
        click.echo(show_run(run, output_format, verbose=verbose), nl=False)


@cli.group(name="eval", cls=Evaluation)
def evaluate() -> None:
    """Measure a model, a server and settings on SWE-bench-style tasks, and compare such measurements.

    \b
    Is my server fit for this?     coder eval run smoke -o DIR
    Are these tasks sound?         coder eval gold DATA
    What came of it?               coder eval report DIR
    Is B better than A?            coder eval compare A B
    """


def _start(workflow: str, flags: dict[str, Any]) -> int:
    if flags.pop("yes") and not flags.get("unsafe_no_sandbox"):
        from coder.init.command import prepare_for_run

        prepare_for_run(flags)
    from coder.start import start

    return start(workflow, flags)


def main() -> NoReturn:
    """The console script. Every error of ours ends as a sentence and an exit status, never a traceback."""
    keep_out(Path())
    try:
        cli.main(standalone_mode=False)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except click.exceptions.Abort:
        status = 130
    except click.ClickException as error:
        error.show()
        status = UsageError.exit_status
    except CoderError as error:
        _say(error)
        status = error.exit_status
    except KeyboardInterrupt:
        status = 130
    _exit(status)


def _say(error: CoderError) -> None:
    from sandbox.text import clean_text

    hint = f"\n{error.hint}" if error.hint else ""
    click.echo(clean_text(f"coder: {error}{hint}"), err=True)


def _exit(status: int) -> NoReturn:
    """Leave at once: worker threads that are stuck in a dead engine must not hold the process."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            status = status or 1
    os._exit(status)
