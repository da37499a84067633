"""`coder serve --backend vllm|sglang|trtllm`: print the command as a shell script, or become the server."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from coder.errors import UsageError
from coder.model.launch import plan as plans
from coder.model.launch.gpus import read_gpus
from coder.model.launch.hardware import NAMED
from coder.model.launch.memory import LONGEST_CONTEXT
from coder.model.launch.plan import Plan
from coder.model.launch.recipes import BACKENDS, COPIES, Address, Recipe
from coder.model.launch.weights import named

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:-]*|::1?")
_LOOPBACK = re.compile(r"127\.[\d.]+|localhost|::1")
_SHORTEST_CONTEXT = 4096


def launch(
    backend: str,
    *,
    hardware: str = "auto",
    model: str = "",
    host: str = "127.0.0.1",
    port: int = 8000,
    context: int = 0,
    start: bool = False,
    force: bool = False,
    say: Callable[[str], object] = print,
) -> int:
    """Print how to serve the model here or on named hardware; with `start`, replace this process by the server.

    Args:
        backend: vllm, sglang or trtllm.
        hardware: auto looks at this machine's GPUs; a name plans for such a machine, and with `start` checks that
            this one is it.
        context: tokens; 0 is the hardware's usual.
        force: go on where the model does not fit or the GPUs are not the named ones.

    Returns:
        0. With `start` it does not return: signals and exit status are the server's own.

    Raises:
        UsageError: the model does not fit, the GPUs are unknown, a value is wrong, or the server is not installed.
    """
    _check(host, port, context)
    plan = _plan(backend, hardware, model, context, start=start, force=force)
    address = Address(host, port, str(_config_file())) if start else Address(host, port)
    recipe = BACKENDS[backend](plan, address)
    say(script(recipe, plan, address))
    if not plan.fits and not force:
        raise UsageError(
            f"the model {plan.worst()}",
            hint=f"{plans.alternatives(plan)}; --force goes on all the same",
        )
    if start:
        become(recipe)
    return 0


def script(recipe: Recipe, plan: Plan, address: Address) -> str:
    """A shell script that may be pasted or piped into sh: whatever explains is a comment."""
    hardware = plan.hardware
    lines = [
        f"Nemotron 3 Super ({plan.weights.precision}) with {recipe.title} on {len(plan.gpus)} x {plan.gpus[0].name}",
        f"why these weights here: {hardware.evidence}",
        f"memory on each GPU: {plan.need}",
        *plan.verdict(),
        *([] if plan.fits else [plans.alternatives(plan)]),
        *_warnings(plan, address),
        "",
        *_explained(recipe),
        *recipe.notes,
        f"to install: {recipe.install}",
    ]
    comments = "\n".join(f"# {line}".rstrip() for line in lines)
    return (
        f"{comments}\n\n{_file(recipe)}{_command(recipe)}\n\n# then: coder doctor --base-url {_url(address)}"
    )


def become(recipe: Recipe) -> NoReturn:
    """Replace this process by the server, in the foreground.

    Raises:
        UsageError: the server is not installed.
    """
    program = shutil.which(recipe.head[0])
    if program is None:
        raise UsageError(
            f"{recipe.title} is not installed: there is no {recipe.head[0]}", hint=recipe.install
        )
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and a new program would inherit that
    try:
        if recipe.config:
            path = Path(recipe.config_path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(recipe.config, "utf-8")
        os.execve(program, recipe.argv, os.environ | recipe.environment)  # noqa: S606 - no shell is meant
    except OSError as problem:
        raise UsageError(f"{program} does not start: {problem}", hint=recipe.install) from problem


def _plan(backend: str, hardware: str, model: str, context: int, *, start: bool, force: bool) -> Plan:
    copies = COPIES[backend]
    if hardware == "auto":
        return plans.automatic(read_gpus(hint=plans.known_hardware()), model, context, copies)
    kind = NAMED[hardware]
    weights = named(model, kind.precision)
    if start:
        try:
            return plans.on_these(kind, read_gpus(), weights, context, copies)
        except UsageError:
            if not force:
                raise
    return plans.on_paper(kind, weights, context, copies)


def _check(host: str, port: int, context: int) -> None:
    if not _HOST.fullmatch(host):
        raise UsageError(f"--host: {host!r} is no address")
    if not 0 < port < 65536:
        raise UsageError(f"--port must be between 1 and 65535, not {port}")
    if context and not _SHORTEST_CONTEXT <= context <= LONGEST_CONTEXT:
        raise UsageError(
            f"--context must be between {_SHORTEST_CONTEXT} and {LONGEST_CONTEXT}, not {context}"
        )


def _warnings(plan: Plan, address: Address) -> list[str]:
    found = []
    if not _LOOPBACK.fullmatch(address.host):
        found.append(f"careful: whoever reaches {address.host} can use this model, no key is asked for")
    if plan.weights.precision != plan.hardware.precision:
        found.append(
            f"not verified: {plan.weights.precision} weights; {plan.hardware.precision} suits this hardware"
        )
    if not plan.weights.known:
        found.append(
            "the parsers and the sum are for Nemotron 3 Super; this name does not say that it is one"
        )
        found.append("tell coder with --profile nemotron-3-super when it is")
    if plan.visible:
        found.append(f"{len(plan.seen) - len(plan.gpus)} more of this machine's GPUs are left alone")
    return found


def _explained(recipe: Recipe) -> list[str]:
    return [
        f"{' '.join(flag.words)}: {flag.why}{'' if flag.verified else ' (not verified)'}"
        for flag in recipe.flags
        if flag.why
    ]


def _file(recipe: Recipe) -> str:
    if not recipe.config:
        return ""
    return f"cat > {shlex.quote(recipe.config_path)} <<'EOF'\n{recipe.config}EOF\n"


def _command(recipe: Recipe) -> str:
    words = [shlex.join(recipe.head), *(shlex.join(flag.words) for flag in recipe.flags)]
    before = " ".join(f"{name}={shlex.quote(value)}" for name, value in recipe.environment.items())
    return f"{before} \\\n" + " \\\n  ".join(words)


def _url(address: Address) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address.host, address.host)  # noqa: S104 - any address
    return f"http://{f'[{host}]' if ':' in host else host}:{address.port}/v1"


def _config_file() -> Path:
    import platformdirs

    return Path(platformdirs.user_cache_dir("coder")) / "coder-trtllm.yaml"
