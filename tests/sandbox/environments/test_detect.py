"""What is read from a project's files: which recipe, which inputs, and nothing that a hostile file could do."""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sandbox.base import Policy
from sandbox.bubblewrap import Bubblewrap
from sandbox.environments.detect import detect, detect_all, image_for
from sandbox.environments.recipe import PLACE, Recipe
from sandbox.errors import ManifestProblem
from tests.sandbox.repositories import write_files
from tests.sandboxes import make_workspace, opened, own_python, text

PROJECT = '[build-system]\nrequires = ["hatchling"]\n[project]\nname = "demo"\n'
EXTRAS = '[project.optional-dependencies]\ntests = ["pytest"]\ndocs = ["sphinx"]\nDev = ["ruff"]\n'
GROUPS = '[dependency-groups]\ndev = [{include-group = "more"}, "six"]\nmore = ["attrs", {include-group = "dev"}]\n'
POETRY = '[tool.poetry]\nname = "demo"\n[tool.poetry.group.test.dependencies]\npytest = "*"\n'


def recipe(root: Path, files: Mapping[str, str]) -> Recipe:
    write_files(root, files)
    found = detect(root)
    assert found is not None
    return found


def steps(root: Path, files: Mapping[str, str]) -> str:
    return "\n".join(recipe(root, files).steps)


# files, words of the steps, inputs
PYTHON: Mapping[str, tuple[Mapping[str, str], str, tuple[str, ...]]] = {
    "uv": (
        {"pyproject.toml": PROJECT + EXTRAS + GROUPS, "uv.lock": ""},
        "uv sync --frozen --extra=tests --extra=Dev --group=dev",
        ("uv.lock", "pyproject.toml"),
    ),
    "uv workspace": (
        {
            "pyproject.toml": PROJECT + '[tool.uv.workspace]\nmembers = ["packages/*"]\n',
            "uv.lock": "",
            "packages/one/pyproject.toml": "",
        },
        "uv sync --frozen --all-packages",
        ("uv.lock", "pyproject.toml", "packages/one/pyproject.toml"),
    ),
    "poetry": (
        {"pyproject.toml": POETRY, "poetry.lock": ""},
        "poetry install --no-interaction --with=test",
        ("poetry.lock", "pyproject.toml"),
    ),
    "poetry without a lock": ({"pyproject.toml": POETRY}, "poetry install", ("pyproject.toml",)),
    "pdm": (
        {"pyproject.toml": PROJECT + EXTRAS, "pdm.lock": '[metadata]\ngroups = ["default", "tests"]\n'},
        "pdm install --frozen-lockfile --group=tests",
        ("pdm.lock", "pyproject.toml"),
    ),
    "pipenv": ({"Pipfile.lock": "{}", "Pipfile": ""}, "pipenv sync --dev", ("Pipfile.lock", "Pipfile")),
    "a plain package": ({"pyproject.toml": PROJECT}, "pip install -e .\n", ("pyproject.toml",)),
    "extras": ({"pyproject.toml": PROJECT + EXTRAS}, "pip install -e '.[tests,Dev]'", ("pyproject.toml",)),
    "groups": ({"pyproject.toml": PROJECT + GROUPS}, "pip install -e . six attrs", ("pyproject.toml",)),
    "groups alone": (
        {"pyproject.toml": "[tool.ruff]\n" + GROUPS},
        "pip install six attrs",
        ("pyproject.toml",),
    ),
    "setup.cfg": (
        {"setup.cfg": "[options.extras_require]\ntesting =\n  pytest\n", "setup.py": "import setuptools"},
        "pip install -e '.[testing]'",
        ("setup.cfg", "setup.py"),
    ),
    "setup.py": (
        {"setup.py": "from setuptools import setup\nsetup(extras_require={'test': [], name: []})\n"},
        "pip install -e '.[test]'",
        ("setup.py",),
    ),
    "requirements": (
        {
            "requirements.txt": "-c pins/all.txt\n",
            "requirements-test.txt": "-r requirements.txt\n-r ../../etc/passwd\n",
            "requirements-dev.txt": "",
            "pins/all.txt": "",
        },
        "pip install -r ./requirements.txt -r ./requirements-test.txt",
        ("requirements.txt", "requirements-test.txt", "pins/all.txt"),
    ),
    "a package with requirements": (
        {"setup.py": "", "requirements/dev.txt": ""},
        "pip install -e . -r ./requirements/dev.txt",
        ("requirements/dev.txt", "setup.py"),
    ),
    "tox": (
        {"setup.py": "", "tox.ini": "[testenv]\ndeps =\n  pytest>=7  # runner\n  py38: old\n  -rmore.txt\n  {env:X}\n"},
        "pip install -e . 'pytest>=7'",
        ("setup.py", "tox.ini"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", PYTHON)
def test_python(case: str, tmp_path: Path) -> None:
    files, words, inputs = PYTHON[case]
    found = recipe(tmp_path, files)
    assert words in "\n".join(found.steps) + "\n"
    assert found.inputs == inputs
    assert found.python == f"{PLACE}/venv/bin/python"
    assert found.path == (f"{PLACE}/venv/bin",)
    assert "import pytest" in found.steps[-1]
    assert found.toolchain == "python"


LOCK = {"package-lock.json": "{}"}
NODE: Mapping[str, tuple[Mapping[str, str], str, tuple[str, ...]]] = {
    "npm": (LOCK, "npm ci --no-audit", ("package-lock.json", "package.json")),
    "npm without a lock": ({}, "npm install --no-audit", ("package.json",)),
    "pnpm": ({"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, "pnpm@8", ("pnpm-lock.yaml", "package.json")),
    "pnpm of today": ({"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "pnpm install --frozen-lockfile", ()),
    "yarn classic": ({"yarn.lock": "# yarn lockfile v1\n"}, "yarn@1", ("yarn.lock", "package.json")),
    "yarn berry": ({"yarn.lock": "__metadata:\n  version: 8\n"}, "cli-dist@4", ("yarn.lock", "package.json")),
    "older yarn berry": ({"yarn.lock": "__metadata:\n  version: 6\n"}, "cli-dist@3", ()),
    "yarn in the repository": (
        {
            "yarn.lock": "__metadata:\n  version: 8\n",
            ".yarnrc.yml": "yarnPath: .yarn/releases/yarn-4.1.0.cjs\n",
            ".yarn/releases/yarn-4.1.0.cjs": "",
        },
        "node .yarn/releases/yarn-4.1.0.cjs install --immutable",
        ("yarn.lock", "package.json", ".yarnrc.yml", ".yarn/releases/yarn-4.1.0.cjs"),
    ),
}


@pytest.mark.parametrize("case", NODE)
def test_node(case: str, tmp_path: Path) -> None:
    files, words, inputs = NODE[case]
    found = recipe(tmp_path, {"package.json": '{"scripts": {"test": "jest"}}', **files})
    assert words in "\n".join(found.steps)
    assert not inputs or found.inputs == inputs
    assert found.links == {"node_modules": f"{PLACE}/node_modules"}
    assert (found.toolchain, found.test) == ("node", "npm test")


def test_the_named_package_manager_is_the_one_that_is_used(tmp_path: Path) -> None:
    package = json.dumps({"packageManager": "pnpm@9.15.0+sha512.abc"})
    assert "pnpm@9.15.0\n" in steps(tmp_path, {"package.json": package, "pnpm-lock.yaml": ""})


@pytest.mark.parametrize(
    "named", ["pnpm@9.1.0; touch x", "pnpm@$(id)", "pnpm@file:../x", "-g@1.0.0", 7, None]
)
def test_no_other_package_manager_is_made_of_what_a_repository_says(named: object, tmp_path: Path) -> None:
    package = json.dumps({"packageManager": named})
    found = recipe(tmp_path, {"package.json": package, "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"})
    assert found.steps[0].endswith(" pnpm@9")


def test_every_package_of_a_monorepo_has_its_own_link(tmp_path: Path) -> None:
    files = {
        "package.json": '{"workspaces": ["packages/*", "../out/*", "node_modules/*"]}',
        "packages/one/package.json": "{}",
        "packages/it's two/package.json": "{}",
        "packages/none/readme": "",
        "node_modules/x/package.json": "{}",
        **LOCK,
    }
    found = recipe(tmp_path, files)
    assert list(found.links) == [
        "node_modules", "packages/it's two/node_modules", "packages/one/node_modules"
    ]  # fmt: skip
    assert f"{PLACE}/packages/it's two/node_modules" in shlex.split(found.steps[-1])
    assert "packages/one/package.json" in found.inputs


def test_a_pnpm_workspace_is_read_from_its_own_file(tmp_path: Path) -> None:
    workspace = "packages:\n  # ours\n  - 'apps/*' # all\n  - \"!apps/old\"\nother:\n  - 'x'\n"
    files = {"package.json": "{}", "pnpm-lock.yaml": "", "pnpm-workspace.yaml": workspace}
    found = recipe(tmp_path, {**files, "apps/web/package.json": "{}"})
    assert "apps/web/node_modules" in found.links


COMPILED: Mapping[str, tuple[Mapping[str, str], str, str, tuple[str, ...]]] = {
    "cargo": (
        {"Cargo.toml": "[package]\n", "Cargo.lock": "", ".cargo/config.toml": ""},
        "cargo fetch --locked",
        "rust",
        ("Cargo.lock", "Cargo.toml", ".cargo/config.toml"),
    ),
    "a cargo workspace": (
        {"Cargo.toml": '[workspace]\nmembers = ["crates/*"]\n', "crates/a/Cargo.toml": ""},
        "cargo fetch",
        "rust",
        ("Cargo.toml", "crates/a/Cargo.toml"),
    ),
    "go": ({"go.mod": "", "go.sum": ""}, "go mod download", "go", ("go.sum", "go.mod")),
    "go with vendored modules": (
        {"go.mod": "", "vendor/modules.txt": ""},
        "",
        "go",
        ("go.mod", "vendor/modules.txt"),
    ),
    "maven": ({"pom.xml": "", "core/pom.xml": ""}, "test-compile", "java", ("pom.xml", "core/pom.xml")),
    "gradle": (
        {"build.gradle.kts": "", "gradlew": "", "app/build.gradle": ""},
        "gradlew",
        "java",
        ("build.gradle.kts", "app/build.gradle"),
    ),
}


@pytest.mark.parametrize("case", COMPILED)
def test_compiled_languages(case: str, tmp_path: Path) -> None:
    files, words, toolchain, inputs = COMPILED[case]
    found = recipe(tmp_path, files)
    assert words in "\n".join(found.steps)
    assert (found.toolchain, found.inputs) == (toolchain, inputs)
    assert found.test


def test_every_toolchain_has_an_image() -> None:
    assert image_for("node") == "coder-sandbox:node"
    assert image_for("python") == image_for("") == "coder-sandbox:base"


# Several languages


def test_nothing_is_made_of_a_project_that_says_nothing(tmp_path: Path) -> None:
    write_files(tmp_path, {"main.py": "", "pyproject.toml": "[tool.ruff]\n", "tests/test_main.py": ""})
    assert detect(tmp_path) is None


def test_a_python_project_with_a_package_json_for_its_documentation_is_python(tmp_path: Path) -> None:
    files = {"pyproject.toml": PROJECT, "package.json": "{}", "tests/test_a.py": "", "docs/a.test.js": ""}
    write_files(tmp_path, {**files, "docs/b.test.js": ""})
    first, second = detect_all(tmp_path)
    assert (first.toolchain, second.toolchain) == ("python", "node")
    assert first.notes == ("not set up: node (package.json)",)


def test_the_language_of_the_tests_comes_first(tmp_path: Path) -> None:
    files = {"requirements.txt": "", "go.mod": "", "x/a_test.go": "", "node_modules/x/test_x.py": ""}
    assert recipe(tmp_path, files).toolchain == "go"


# Broken and hostile files


BROKEN = {
    "no TOML": {"pyproject.toml": "[project\n"},
    "no UTF-8": {"pyproject.toml": b"\xff\xfe[project]"},
    "deep": {"pyproject.toml": "x = " + "[" * 100_000},
    "a deep package.json": {"package.json": "[" * 100_000},
    "no object": {"package.json": "[]"},
    "a long number": {"package.json": '{"a": ' + "9" * 5_000 + "}"},
    "a broken lock": {"pyproject.toml": PROJECT, "pdm.lock": "="},
    "beside another language": {"pyproject.toml": "[", "package.json": "{}", "a.test.js": ""},
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_manifest_is_named(case: str, tmp_path: Path) -> None:
    write_files(tmp_path, BROKEN[case])
    with pytest.raises(ManifestProblem, match=r"^(pyproject\.toml|package\.json|pdm\.lock) "):
        detect(tmp_path)


def test_a_broken_manifest_of_another_language_is_passed_over(tmp_path: Path) -> None:
    found = recipe(tmp_path, {"pyproject.toml": PROJECT, "package.json": "{", "test_a.py": ""})
    assert found.toolchain == "python"
    assert found.notes[0].startswith("passed over: package.json is not valid JSON")


WRONG_TYPES = ["project = 1", "[tool]\nuv = []", "[project]\noptional-dependencies = 3", "dependency-groups = 'x'",
               "[dependency-groups]\ndev = {a = 1}", "[tool.hatch.envs]\ndefault = 1", "[build-system]\nrequires = 5"]  # fmt: skip


@pytest.mark.parametrize("text", WRONG_TYPES)
@pytest.mark.parametrize("lock", ["", "uv.lock", "poetry.lock", "pdm.lock"])
def test_values_of_a_wrong_type_are_no_traceback(text: str, lock: str, tmp_path: Path) -> None:
    write_files(
        tmp_path,
        {
            "pyproject.toml": text,
            "setup.cfg": "garbage\n",
            "setup.py": "(" * 500,
            **({lock: ""} if lock else {}),
        },
    )
    detect(tmp_path)  # fmt: skip


INJECTED = "x; touch /tmp/owned #"


def test_nothing_of_a_repository_is_a_word_of_a_shell(tmp_path: Path) -> None:
    files = {
        "pyproject.toml": PROJECT + f"[project.optional-dependencies]\n'test' = []\n'{INJECTED}' = []\n"
        f"[dependency-groups]\ndev = ['{INJECTED}', '--index-url http://evil', \"a\\nb\", \"$(id)\"]\n"
    }
    said = steps(tmp_path, files)
    words = shlex.split(next(line for line in said.splitlines() if "-e" in line))
    assert words[-2:] == [".[test]", INJECTED]
    assert "evil" not in said
    assert "$(id)" not in said


def test_groups_that_include_each_other_many_times_are_read_once(tmp_path: Path) -> None:
    names = [f"g{number}" for number in range(60)]
    lines = [
        f'{name} = [{{include-group = "{other}"}}, {{include-group = "{other}"}}]'
        for name, other in itertools.pairwise(names)
    ]
    text = "\n".join(["[dependency-groups]", 'dev = [{include-group = "g0"}]', *lines, 'g59 = ["six"]'])
    assert "pip install six" in steps(tmp_path, {"pyproject.toml": text})


def test_no_link_leads_out_and_nothing_is_waited_for(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    write_files(outside, {"pyproject.toml": PROJECT, "a/package.json": "{}"})
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").symlink_to(outside / "pyproject.toml")
    (root / "packages").symlink_to(outside)
    os.mkfifo(root / "setup.py")
    assert detect(root) is None
    found = recipe(root, {"package.json": '{"workspaces": ["packages/*"]}'})
    assert list(found.links) == ["node_modules"]


def test_a_huge_file_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "package.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(ManifestProblem, match=r"package\.json cannot be read"):
        detect(tmp_path)


# The steps as programs


CASES = {**PYTHON, **NODE, **COMPILED}


@pytest.mark.parametrize("case", CASES)
def test_every_step_is_a_shell_command(case: str, tmp_path: Path) -> None:
    for step in recipe(
        tmp_path, {**({"package.json": "{}"} if case in NODE else {}), **CASES[case][0]}
    ).steps:
        subprocess.run(["bash", "-n", "-c", step], check=True)


@pytest.mark.parametrize(
    ("proxy", "told"),
    [
        ("", []),
        ("http://127.0.0.1:3128", [("http", "127.0.0.1", "3128"), ("https", "127.0.0.1", "3128")]),
        ("http://user:word@proxy.corp:80/", [("http", "proxy.corp", "80"), ("https", "proxy.corp", "80")]),
    ],
)
async def test_maven_is_told_of_the_proxy(proxy: str, told: list[tuple[str, ...]], tmp_path: Path) -> None:
    step = recipe(tmp_path / "project", {"pom.xml": ""}).steps[0]
    async with opened("bubblewrap", tmp_path) as sandbox:
        said = await sandbox.run(
            f"{step}; cat /tmp/coder-settings.xml", timeout=10, env={"HTTPS_PROXY": proxy}
        )
    proxies = ET.fromstring(said.text()).iter("proxy")
    keys = ("protocol", "host", "port")
    assert [tuple(found.findtext(key, "") for key in keys) for found in proxies] == told


@pytest.mark.node
async def test_packages_of_the_workspace_are_found_when_node_modules_has_moved(tmp_path: Path) -> None:
    files = {
        "package.json": '{"workspaces": ["packages/*"]}',
        "packages/one/package.json": "{}",
        "packages/one/index.js": "module.exports = require('left')\n",
        "node_modules/left/index.js": "module.exports = 'found'\n",
        "packages/one/node_modules/inner/index.js": "",
    }
    write_files(tmp_path / "project", files)
    found = detect(tmp_path / "project")
    assert found is not None
    workspace = make_workspace(tmp_path, files)
    os.symlink("../packages/one", workspace.root / "node_modules/one")
    os.symlink("left/index.js", workspace.root / "node_modules/inside")
    moved = found.steps[found.steps.index(next(step for step in found.steps if "readlinkSync" in step)) :]
    sandbox = Bubblewrap(workspace, Policy(memory_mb=2048), toolchain=own_python(workspace))
    await sandbox.start()
    try:
        for step in moved:
            result = await sandbox.run(
                step.replace(PLACE, "/tmp/place"), timeout=30, env={"CODER_ENV": "/tmp/place"}
            )
            assert result.ok, text(result)
        script = (
            "ln -s /tmp/place/node_modules . && node -p 'require(\"one\")'"
            " && readlink node_modules/one node_modules/inside && ls /tmp/place/packages/one/node_modules"
        )
        said = text(await sandbox.run(script, timeout=30)).splitlines()
        assert said == ["found", "/workspace/packages/one", "left/index.js", "inner"]
    finally:
        await sandbox.close()
        workspace.close()
