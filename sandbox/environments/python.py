"""Recipes for Python: uv, poetry, pdm, pipenv, and pip with what pyproject.toml, setup.cfg and requirements say."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from sandbox.environments import requirements
from sandbox.environments.project import Project, strings, table
from sandbox.environments.recipe import PLACE, Recipe
from sandbox.environments.requirements import Wants

MANIFESTS = ("pyproject.toml", "setup.py", "setup.cfg", "Pipfile.lock", *requirements.FILES)

_VENV = f"{PLACE}/venv"
_PYTHON = f"{_VENV}/bin/python"
_MAKE = f"python3 -m venv {_VENV}"
_PYTEST = f"{_PYTHON} -I -c 'import pytest' 2>/dev/null || {{install}} pytest"
# pip does that itself; later every import would compile anew, since nothing can be written there
_COMPILE = f"{_PYTHON} -m compileall -q {_VENV}/lib >/dev/null || true"
_TOOLS = "/tmp/coder-tools"  # noqa: S108 - inside the sandbox
_PDM = "hishel<2"  # pdm 2.29.4 takes any newer one, and fails with it
_ACTIVE = f'VIRTUAL_ENV={_VENV} PATH="{_VENV}/bin:$PATH"'


def python(project: Project) -> Recipe | None:
    """How the project's Python environment is made; None when it has no manifest. Raises ManifestProblem."""
    pyproject = project.toml("pyproject.toml")
    if project.has("uv.lock") and pyproject:
        return _uv(project, requirements.from_pyproject(pyproject), pyproject)
    if table(pyproject, "tool", "poetry") and (project.has("poetry.lock") or not table(pyproject, "project")):
        return _poetry(project, pyproject)
    if project.has("poetry.lock") and pyproject:
        return _poetry(project, pyproject)
    if project.has("pdm.lock") and pyproject:
        return _pdm(project, pyproject)
    wants = requirements.gather(project, pyproject)
    if project.has("Pipfile.lock") and not wants.installable:
        return _pipenv(project)
    return _pip(project, wants) if wants.inputs else None


def _uv(project: Project, wants: Wants, pyproject: dict[str, object]) -> Recipe:
    options = [f"--extra={name}" for name in wants.extras] + [f"--group={name}" for name in wants.groups]
    members = strings(table(pyproject, "tool", "uv", "workspace").get("members"))
    if members:
        options.append("--all-packages")
    manifests = [f"{folder}/pyproject.toml" for member in members for folder in project.directories(member)]
    variables = f"UV_PROJECT_ENVIRONMENT={_VENV} UV_PYTHON_INSTALL_DIR={PLACE}/python UV_LINK_MODE=copy"
    uv = f"{_TOOLS}/bin/uv"
    steps = (
        _tool("uv"),
        f"{variables} {uv} sync --frozen {_quoted(options)}".rstrip(),
        _COMPILE,
        _PYTEST.format(install=f"{uv} pip install --python {_PYTHON}"),
    )
    inputs = project.present(("uv.lock", "pyproject.toml", ".python-version", "uv.toml", *manifests))
    return _recipe("pyproject.toml and uv.lock", steps, inputs)


def _poetry(project: Project, pyproject: dict[str, object]) -> Recipe:
    poetry = table(pyproject, "tool", "poetry")
    groups = requirements.test_names([*table(poetry, "group"), *table(pyproject, "dependency-groups")])
    declared = table(poetry, "extras") or table(pyproject, "project", "optional-dependencies")
    options = [f"--with={name}" for name in groups]
    options += [f"--extras={name}" for name in requirements.test_names(declared)]
    install = f"{_ACTIVE} {_TOOLS}/bin/poetry install --no-interaction {_quoted(options)}".rstrip()
    steps = (_MAKE, _tool("poetry"), install, _COMPILE, _PYTEST.format(install=f"{_PYTHON} -m pip install"))
    inputs = project.present(("poetry.lock", "pyproject.toml", "poetry.toml"))
    source = " and ".join(name for name in ("pyproject.toml", "poetry.lock") if name in inputs)
    return _recipe(source, steps, inputs)


def _pdm(project: Project, pyproject: dict[str, object]) -> Recipe:
    locked = set(strings(table(project.toml("pdm.lock"), "metadata").get("groups")))
    extras = requirements.test_names(table(pyproject, "project", "optional-dependencies"))
    options = [f"--group={name}" for name in extras if name in locked]
    pdm = f"{_ACTIVE} PDM_IGNORE_SAVED_PYTHON=1 PDM_CHECK_UPDATE=0 {_TOOLS}/bin/pdm"
    install = f"{pdm} install --frozen-lockfile {_quoted(options)}".rstrip()
    steps = (
        _MAKE,
        _tool("pdm", _PDM),
        install,
        _COMPILE,
        _PYTEST.format(install=f"{_PYTHON} -m pip install"),
    )
    return _recipe("pyproject.toml and pdm.lock", steps, project.present(("pdm.lock", "pyproject.toml")))


def _pipenv(project: Project) -> Recipe:
    install = f"{_ACTIVE} PIPENV_VERBOSITY=-1 {_TOOLS}/bin/pipenv sync --dev"
    steps = (_MAKE, _tool("pipenv"), install, _PYTEST.format(install=f"{_PYTHON} -m pip install"))
    return _recipe("Pipfile.lock", steps, project.present(("Pipfile.lock", "Pipfile")))


def _pip(project: Project, wants: Wants) -> Recipe:
    arguments: list[str] = []
    if wants.installable:
        extras = f"[{','.join(wants.extras)}]" if wants.extras else ""
        arguments += ["-e", f".{extras}"]
    for name in wants.files:
        arguments += ["-r", f"./{name}"]
    arguments += wants.requirements
    pip = f"{_PYTHON} -m pip install"
    steps = [_MAKE, f"{pip} --upgrade pip"]
    if arguments:
        steps.append(f"{pip} {_quoted(arguments)}")
    steps.append(_PYTEST.format(install=pip))
    notes: tuple[str, ...] = ()
    if wants.compiled:
        notes = ("modules that are compiled into the source tree are kept where git ignores them",)
    return _recipe(" and ".join(wants.sources), steps, wants.inputs, notes)


def _tool(*packages: str) -> str:
    wanted = _quoted(packages)
    return f"python3 -m venv {_TOOLS} && {_TOOLS}/bin/python -m pip install --quiet {wanted}"


def _quoted(words: Sequence[str]) -> str:
    return " ".join(map(shlex.quote, words))


def _recipe(
    source: str, steps: Sequence[str], inputs: tuple[str, ...], notes: tuple[str, ...] = ()
) -> Recipe:
    return Recipe(
        source=source,
        toolchain="python",
        steps=tuple(steps),
        inputs=inputs,
        env={"VIRTUAL_ENV": _VENV},
        path=(f"{_VENV}/bin",),
        python=_PYTHON,
        notes=notes,
    )
