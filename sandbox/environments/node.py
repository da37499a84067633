"""Recipes for Node.js: npm, pnpm and yarn, whose `node_modules` is moved to where environments lie."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from sandbox.environments.project import Project, strings, table
from sandbox.environments.recipe import PLACE, Recipe

MANIFESTS = ("package.json",)

_TOOLS = f"{PLACE}/.tools"
_VERSION = re.compile(r"(npm|pnpm|yarn)@(\d{1,4}\.\d{1,4}\.\d{1,4}(?:-[\w.]{1,40})?)(?:\+.*)?", re.ASCII)
_YARN_PATH = re.compile(
    r"^yarnPath:\s*[\"']?(\.yarn/releases/[\w.-]+\.c?js)[\"']?\s*$", re.MULTILINE | re.ASCII
)
_NO_TEST = "no test specified"
_MOST = 200

# Programs that other programs would download; large, and from elsewhere than the registry
_SET_UP = (
    "npm_config_offline=false COREPACK_ENABLE_NETWORK=1 YARN_ENABLE_NETWORK=true HUSKY=0"
    " PUPPETEER_SKIP_DOWNLOAD=1 PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 CYPRESS_INSTALL_BINARY=0"
)
_LATER = {
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
    "npm_config_manage_package_manager_versions": "false",
    "COREPACK_ENABLE_NETWORK": "0",
    "YARN_ENABLE_NETWORK": "false",
    "YARN_NODE_LINKER": "node-modules",
}

# Links to packages of the workspace itself would lead nowhere once the directory that they lie in has moved
_RELINK = """node -e '
const fs = require("fs"), path = require("path"), root = process.cwd();
const walk = (folder, inside) => {
  for (const entry of fs.readdirSync(folder, {withFileTypes: true})) {
    const name = path.join(folder, entry.name);
    if (entry.isSymbolicLink() && inside) {
      const real = path.resolve(folder, fs.readlinkSync(name));
      if (real.startsWith(root + path.sep) && !real.includes("/node_modules/")) {
        fs.unlinkSync(name);
        fs.symlinkSync(real, name);
      }
    } else if (entry.isDirectory()) walk(name, inside || entry.name === "node_modules");
  }
};
walk(root, false);'"""
_MOVE = """find . -name node_modules -prune -type d -print0 | while IFS= read -r -d '' found; do
  mkdir -p "$CODER_ENV/${found%/*}" && mv "$found" "$CODER_ENV/${found#./}" || exit
done"""


@dataclass(frozen=True, slots=True)
class _Manager:
    lock: str
    install: str
    """The command after the tool's own installation."""
    tool: str = ""
    """What npm installs first; empty for npm itself."""
    others: tuple[str, ...] = ()
    """Files beside the lock that decide the result."""


def node(project: Project) -> Recipe | None:
    """How the project's packages are installed; None without a package.json. Raises ManifestProblem."""
    if not project.has("package.json"):
        return None
    package = project.json("package.json")
    manager = _manager(project, package)
    folders = _workspaces(project, package)
    places = ["node_modules", *(f"{folder}/node_modules" for folder in folders)]
    steps = [
        f"npm_config_offline=false npm install --no-audit --no-fund --prefix {_TOOLS} {shlex.quote(manager.tool)}"
    ]
    made = " ".join(shlex.quote(f"{PLACE}/{place}") for place in places)
    steps = [
        *(steps if manager.tool else []),
        f"{_SET_UP} {manager.install}",
        _RELINK,
        _MOVE,
        f"mkdir -p {made}",
    ]
    manifests = [f"{folder}/package.json" for folder in folders]
    inputs = (manager.lock, "package.json", *manifests, *manager.others, ".npmrc")
    present = project.present(dict.fromkeys(inputs))
    return Recipe(
        source=" and ".join(name for name in ("package.json", manager.lock) if name in present),
        toolchain="node",
        steps=tuple(steps),
        inputs=present,
        env=_LATER,
        path=(f"{PLACE}/node_modules/.bin", f"{_TOOLS}/node_modules/.bin"),
        links={place: f"{PLACE}/{place}" for place in places},
        test=_test(package),
        notes=_notes(project, package),
    )  # fmt: skip


def _manager(project: Project, package: dict[str, object]) -> _Manager:
    """Who made the lock file; without one, who the package.json names."""
    named = _VERSION.fullmatch(str(package.get("packageManager", "")))
    name, version = named.groups() if named else ("", "")
    if project.has("pnpm-lock.yaml"):
        version = version if name == "pnpm" else _pnpm_version(project.head("pnpm-lock.yaml"))
        return _pnpm(version, "pnpm-lock.yaml", "--frozen-lockfile")
    if project.has("yarn.lock"):
        return _yarn(project, version if name == "yarn" else "")
    for lock in ("package-lock.json", "npm-shrinkwrap.json"):
        if project.has(lock):
            return _Manager(lock, "npm ci --no-audit --no-fund")
    if name == "pnpm":
        return _pnpm(version, "", "--no-frozen-lockfile")
    return _Manager("", "npm install --no-audit --no-fund --no-package-lock")


def _pnpm(version: str, lock: str, frozen: str) -> _Manager:
    # copies, since what is linked to a store outside would be writable there
    options = f"{frozen} --config.package-import-method=copy --config.manage-package-manager-versions=false"
    install = f"{_TOOLS}/node_modules/.bin/pnpm install {options} --store-dir=/tmp/pnpm-store"  # inside
    return _Manager(lock, f"CI=1 {install}", f"pnpm@{version}", ("pnpm-workspace.yaml", ".pnpmfile.cjs"))


def _pnpm_version(head: str) -> str:
    """The newest pnpm that writes such a lock file."""
    found = re.search(r"^lockfileVersion:\s*'?(\d+)", head, re.MULTILINE)
    return {"5": "7", "6": "8"}.get(found[1] if found else "", "9")


def _yarn(project: Project, version: str) -> _Manager:
    head = project.head("yarn.lock")
    others = (".yarnrc.yml", ".yarnrc")
    classic = "yarn lockfile v1" in head and not version.startswith(("2.", "3.", "4."))
    if classic:
        tool = f"yarn@{version}" if version.startswith("1.") else "yarn@1"
        install = f"{_TOOLS}/node_modules/.bin/yarn install --frozen-lockfile --non-interactive"
        return _Manager("yarn.lock", install, tool, others)
    settings = project.text(".yarnrc.yml")
    release = _YARN_PATH.search(settings)
    options = "install --immutable"
    variables = "YARN_NODE_LINKER=node-modules YARN_ENABLE_GLOBAL_CACHE=true YARN_ENABLE_TELEMETRY=false"
    if release and project.has(release[1]):
        return _Manager("yarn.lock", f"{variables} node {release[1]} {options}", "", (*others, release[1]))
    metadata = re.search(r"^\s+version:\s*\"?(\d+)", head, re.MULTILINE)
    default = "4" if metadata is None or int(metadata[1]) >= 8 else "3"
    install = f"{variables} {_TOOLS}/node_modules/.bin/yarn {options}"
    return _Manager("yarn.lock", install, f"@yarnpkg/cli-dist@{version or default}", others)


def _workspaces(project: Project, package: dict[str, object]) -> list[str]:
    """The directories of a monorepo's packages."""
    declared = package.get("workspaces")
    patterns = strings(declared) or strings(table(declared).get("packages"))
    patterns += _yaml_list(project.text("pnpm-workspace.yaml"), "packages")
    found = [
        folder
        for pattern in patterns
        if not pattern.startswith("!")
        for folder in project.directories(pattern)
    ]
    folders = [folder for folder in dict.fromkeys(found) if folder and project.has(f"{folder}/package.json")]
    return folders[:_MOST]  # fmt: skip


def _yaml_list(text: str, key: str) -> list[str]:
    """The strings of a list at the top of a YAML file that people have written in the usual way."""
    found = re.search(rf"^{key}:[ \t]*\n((?:[ \t]*(?:-.*|#.*)?\n)+)", f"{text}\n", re.MULTILINE)
    lines = found[1].splitlines() if found else []
    items = (line.strip().removeprefix("-").partition(" #")[0].strip().strip("'\"") for line in lines)
    return [item for item in items if item and not item.startswith("#")]


def _test(package: dict[str, object]) -> str:
    script = table(package.get("scripts")).get("test")
    if not isinstance(script, str) or _NO_TEST in script:
        return ""
    return "npm test"


def _notes(project: Project, package: dict[str, object]) -> tuple[str, ...]:
    notes: list[str] = []
    if project.has(".pnp.cjs"):
        notes.append("Plug'n'Play is set aside: the packages lie in node_modules")
    if package.get("packageManager") and not _VERSION.fullmatch(str(package["packageManager"])):
        notes.append("the packageManager in package.json is not one that is known here")
    return tuple(notes)
