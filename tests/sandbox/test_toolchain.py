"""Which Python is chosen for a repository, and what of this machine it may show inside."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sandbox.base import WORKDIR
from sandbox.interpreters import Mount
from sandbox.toolchain import Toolchain, detect


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    path = tmp_path / "home" / "project"
    path.mkdir(parents=True)
    return path


def search(repository: Path, **environ: str) -> Toolchain:
    """What is chosen when nothing but `environ` is set; the fallback is the Python that runs the tests."""
    return detect(repository, {"HOME": str(repository.parent), **environ}, Path(sys.executable))


def make_installation(prefix: Path, version: str = "3.11") -> Path:
    """A directory that looks like an installed Python; its interpreter says who it is."""
    interpreter = prefix / "bin" / f"python{version}"
    interpreter.parent.mkdir(parents=True)
    interpreter.write_text("#!/bin/sh\necho should not run >&2\nexit 9\n")
    interpreter.chmod(0o755)
    (prefix / "bin" / "python3").symlink_to(interpreter.name)
    library = prefix / "lib" / f"python{version}"
    library.mkdir(parents=True)
    (library / "os.py").touch()
    return interpreter


def make_environment(root: Path, base: Path, *, pytest_too: bool = False, home: str = "") -> Path:
    """A virtual environment of the interpreter `base`, as venv lays it out."""
    (root / "bin").mkdir(parents=True)
    (root / "bin" / "python").symlink_to(base)
    (root / "pyvenv.cfg").write_text(f"home = {home or base.parent}\ninclude-system-site-packages = false\n")
    site = root / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    if pytest_too:
        (site / "pytest").mkdir()
        (site / "pytest" / "__init__.py").touch()
    return root


def targets(toolchain: Toolchain) -> Mapping[str, str]:
    return {str(mount.target): str(mount.source) for mount in toolchain.mounts}


# The order of choice


def test_the_active_environment_comes_first(repository: Path, tmp_path: Path) -> None:
    base = make_installation(tmp_path / "python")
    make_environment(repository / ".venv", base)
    active = make_environment(tmp_path / "active", base)
    found = search(repository, VIRTUAL_ENV=str(active))
    assert found.python == f"{active}/bin/python"
    assert found.path == (f"{active}/bin",)
    assert targets(found) == {str(active): str(active), str(tmp_path / "python"): str(tmp_path / "python")}
    assert found.why == f"The active virtual environment {active}."


def test_our_own_environment_counts_only_with_pytest(repository: Path, tmp_path: Path) -> None:
    base = make_installation(tmp_path / "python")
    bare = make_environment(tmp_path / "bare", base)
    equipped = make_environment(tmp_path / "equipped", base, pytest_too=True)
    environ = {"HOME": "/nonexistent"}
    found = detect(repository, environ | {"VIRTUAL_ENV": str(bare)}, bare / "bin" / "python")
    assert found.why.startswith("Coder's own Python")
    found = detect(repository, environ | {"VIRTUAL_ENV": str(equipped)}, equipped / "bin" / "python")
    assert found.why.startswith("The active virtual environment")


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_the_repositorys_environment_is_found(repository: Path, tmp_path: Path, name: str) -> None:
    root = make_environment(repository / name, make_installation(tmp_path / "python"))
    found = search(repository)
    assert found.python == f"{root}/bin/python"
    assert found.alias == repository
    assert targets(found)[f"{WORKDIR}/{name}"] == str(root)


def test_python_on_path_is_taken_when_it_has_pytest(repository: Path, tmp_path: Path) -> None:
    environment = tmp_path / "somewhere"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    path = f"{environment}/bin"
    assert search(repository, PATH=path).why.startswith("Coder's own Python")
    site = next(environment.glob("lib/python3*/site-packages"))
    (site / "pytest.py").touch()
    found = search(repository, PATH=path)
    assert found.why == f"{path}/python3 from PATH, which has pytest."
    assert found.python == f"{path}/python"


def test_a_python_on_path_inside_the_repository_is_not_run(repository: Path, tmp_path: Path) -> None:
    program = repository / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    found = search(repository, PATH=f"{program.parent}:bin:")
    assert found.why.startswith("Coder's own Python")
    assert not (tmp_path / "ran").exists()


def test_a_python_on_path_that_hangs_or_fails_is_passed_over(repository: Path, tmp_path: Path) -> None:
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho nonsense\n")
    program.chmod(0o755)
    assert search(repository, PATH=str(program.parent)).why.startswith("Coder's own Python")


def test_coders_own_python_is_the_last_resort(repository: Path) -> None:
    found = search(repository)
    assert found.python == sys.executable
    assert found.alias == repository


# What is shown of an installation


def test_links_on_the_way_to_an_interpreter_are_shown_too(repository: Path, tmp_path: Path) -> None:
    real = tmp_path / "pythons" / "cpython-3.11.9"
    base = make_installation(real)
    named = tmp_path / "pythons" / "cpython-3.11"
    named.symlink_to(real.name)
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "python3.11").symlink_to(named / "bin" / "python3.11")
    root = make_environment(repository / ".venv", tools / "python3.11", home=str(named / "bin"))
    shown = targets(search(repository))
    assert shown[str(root)] == str(root)
    assert shown[str(real)] == str(real)
    assert shown[str(named)] == str(real)
    assert shown[str(tools / "python3.11")] == str(base)


def test_the_systems_python_needs_no_mounts(repository: Path) -> None:
    found = detect(repository, {"HOME": "/nonexistent"}, Path("/usr/bin/python3"))
    assert (found.python, found.mounts, found.path) == ("/usr/bin/python3", (), ())


# A hostile repository


def test_an_environment_that_leads_out_of_the_repository_is_refused(repository: Path, tmp_path: Path) -> None:
    outside = make_environment(tmp_path / "outside", make_installation(tmp_path / "python"))
    (repository / ".venv").symlink_to(outside)
    found = search(repository)
    assert "passed over: .venv leads outside of the repository" in found.why
    assert str(outside) not in targets(found).values()


@pytest.mark.parametrize("interpreter", ["secret", "python3.11"])
def test_a_link_to_anything_but_a_python_is_refused(
    repository: Path, tmp_path: Path, interpreter: str
) -> None:
    """Neither a private file nor its directory may be shown because an environment says it were a Python."""
    private = repository.parent / ".ssh" / "bin"
    private.mkdir(parents=True)
    (private / interpreter).write_text("private")
    (private / interpreter).chmod(0o755)
    make_environment(repository / ".venv", private / interpreter)
    found = search(repository)
    assert "is not the interpreter of a Python installation" in found.why
    assert not any(".ssh" in source for source in targets(found).values())


def test_a_home_that_only_claims_to_hold_a_python_is_refused(repository: Path, tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "python3").write_text("private")
    make_environment(repository / ".venv", make_installation(tmp_path / "python"), home=str(private))
    assert not any("private" in source for source in targets(search(repository)).values())


def test_a_home_directory_is_never_shown(repository: Path) -> None:
    home = repository.parent
    base = make_installation(home / ".local")
    make_environment(repository / ".venv", base)
    found = search(repository)
    assert f"{home}/.local holds more than a Python installation" in found.why
    assert search(repository, VIRTUAL_ENV=str(home)).why.startswith("Coder's own Python")


@pytest.mark.parametrize("planted", ["fifo", "link", "folder"])
def test_a_strange_settings_file_is_not_waited_for(repository: Path, planted: str) -> None:
    import os

    settings = repository / ".venv" / "pyvenv.cfg"
    settings.parent.mkdir()
    match planted:
        case "fifo":
            os.mkfifo(settings)
        case "link":
            settings.symlink_to("/etc/passwd")
        case _:
            settings.mkdir()
    assert "is not a virtual environment" in search(repository).why


def test_a_chain_of_links_without_an_end_is_refused(repository: Path) -> None:
    root = make_environment(repository / ".venv", repository / "loop")
    (repository / "loop").symlink_to(repository / "loop2")
    (repository / "loop2").symlink_to(repository / "loop")
    assert f"{root}/bin/python is missing or leads nowhere" in search(repository).why


def test_places_of_the_sandbox_are_not_hidden_by_the_alias(tmp_path: Path) -> None:
    for path in (Path("/"), Path("/usr"), Path("/home"), Path("/proc/1"), Path(WORKDIR, "x")):
        assert detect(path, {}, Path(sys.executable)).alias is None
    assert detect(tmp_path, {}, Path(sys.executable)).alias == tmp_path


def test_mounts_are_comparable() -> None:
    assert Mount(Path("/a"), Path("/b")) == Mount(Path("/a"), Path("/b"))
