"""Files that run, or are obeyed, on a developer's machine without being called: what a patch may smuggle in."""

from __future__ import annotations

from fnmatch import fnmatchcase

__all__ = ["runs_later"]

_CI = "runs in continuous integration"
_GIT = "git or its hooks obey it"
_TESTS = "runs when tests are collected"
_PYTHON = "runs whenever Python starts"
_BUILD = "runs when the project is built or installed"
_SHELL = "a shell, a debugger or an editor obeys it"
_AGENTS = "steers coding agents"

# Anything in or beneath these directories, which may themselves be anywhere
_DIRECTORIES = {
    _CI: ".github/workflows .github/actions .circleci .buildkite .woodpecker .gitea .forgejo .gitlab",
    _GIT: ".husky .githooks .git-hooks git-hooks githooks",
    _BUILD: ".devcontainer .cargo .mvn",
    _SHELL: ".vscode .idea .fleet .zed .vim .nvim .direnv",
    _AGENTS: ".coder .claude .codex .cursor .gemini .windsurf .continue .aider .agents .roo .cline .kiro .qwen"
    " .openhands .github/instructions .github/prompts",
}

# Files of these names (patterns as in a shell), anywhere
_NAMES = {
    _CI: ".gitlab-ci.y*ml .travis.y*ml .drone.y*ml .cirrus.y*ml .woodpecker.y*ml *appveyor.y*ml azure-pipelines*.y*ml"
    " bitbucket-pipelines.y*ml cloudbuild.y*ml jenkinsfile* action.y*ml",
    _GIT: ".gitattributes .gitmodules .gitconfig .pre-commit-config.y*ml .pre-commit-hooks.y*ml *lefthook.y*ml",
    _TESTS: "conftest.py pytest.ini .pytest.ini tox.ini noxfile.py jest.config.* vitest.config.* karma.conf*"
    " playwright.config.*",
    _PYTHON: "sitecustomize.py usercustomize.py *.pth",
    _BUILD: "setup.py setup.cfg pyproject.toml hatch_build.py makefile gnumakefile makefile.* *.mk *.cmake"
    " cmakelists.txt meson.build configure configure.ac justfile .justfile taskfile.y*ml rakefile *.gemspec gemfile"
    " gulpfile.* gruntfile.* package.json .npmrc .yarnrc* .pnpmfile.* build.rs *.gradle *.gradle.kts gradlew*"
    " pom.xml mvnw* build.bazel workspace.bazel module.bazel *dockerfile* containerfile* *compose.y*ml"
    " *compose.*.y*ml vagrantfile *.nix",
    _SHELL: ".envrc .env .tool-versions mise.toml .mise.toml .bashrc .bash_* .zshrc .zshenv .zprofile .zlogin .profile"
    " .vimrc .nvimrc .exrc .nvim.lua .dir-locals.el *.code-workspace .gdbinit .lldbinit",
    _AGENTS: ".coder.toml agents.md agents.*.md claude.md claude.*.md gemini.md qwen.md codex.md .cursorrules .windsurfrules"
    " .clinerules .roomodes .mcp.json .aider* copilot-instructions.md",
}


def runs_later(path: str) -> str:
    """Why the file `path` deserves a second look, in a few words; empty when it is an ordinary one."""
    lower = path.lower()
    folder, _, name = f"/{lower}".rpartition("/")
    for reason, directories in _DIRECTORIES.items():
        if any(f"/{directory}/" in f"{folder}/" for directory in directories.split()):
            return reason
    for reason, patterns in _NAMES.items():
        if any(fnmatchcase(name, pattern) for pattern in patterns.split()):
            return reason
    return ""
