"""No program of the repository is found by name, by us or by a library."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from coder.lookup import keep_out


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for folder in ("work/.git", "work/bin", "work/deep/er", "outside"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "work/bin")
    return tmp_path / "work"


def kept(path: str, directory: Path) -> str:
    environ = {"PATH": path}
    keep_out(directory, environ)
    return environ["PATH"]


def test_what_lies_in_the_repository_is_left_out(repository: Path) -> None:
    outside = repository.parent / "outside"
    path = f"{repository}/bin:{outside}:{repository.parent}/link:/usr/bin:{repository}"
    for directory in (repository, repository / "deep/er"):
        assert kept(path, directory) == f"{outside}:/usr/bin"


@pytest.mark.parametrize("entry", ["", ".", "bin", "./bin", "../x"])
def test_what_is_relative_is_left_out_anywhere(tmp_path: Path, entry: str) -> None:
    assert kept(f"/bin:{entry}:/usr/bin", tmp_path) == "/bin:/usr/bin"


def test_something_is_always_left(repository: Path) -> None:
    assert kept(f"{repository}/bin", repository) == os.defpath


def test_a_directory_without_git_is_left_out_as_well(tmp_path: Path) -> None:
    assert kept(f"{tmp_path}/bin:/usr/bin", tmp_path) == "/usr/bin"


def test_a_home_directory_is_nobodys_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(repository))
    assert kept(f"{repository}/bin:/usr/bin", repository) == f"{repository}/bin:/usr/bin"
