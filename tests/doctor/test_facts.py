"""What is kept of a visit: small, private, and only as long as it is true."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from coder.model.backends import Backend
from coder.model.endpoint import Endpoint
from coder.model.facts import Facts, load, save

ENDPOINT = Endpoint("http://somebody:pa55@127.0.0.1:8000/v1", "nemotron", "s3cret", Backend("vllm", "0.32.0"))
FOUND = Facts(True, True, False, None, 262_144, 1800.5, ("top_k",))


def test_what_was_saved_is_loaded(state: Path) -> None:
    path = save(ENDPOINT, FOUND)
    assert path.is_relative_to(state)
    assert load(ENDPOINT) == FOUND


def test_the_file_is_the_users_alone_and_holds_no_secret() -> None:
    path = save(ENDPOINT, FOUND)
    assert path.stat().st_mode & 0o777 == 0o600
    text = path.name + path.read_text()
    assert "s3cret" not in text
    assert "pa55" not in text
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    "other",
    [
        replace(ENDPOINT, backend=Backend("vllm", "0.33.0")),
        replace(ENDPOINT, model="qwen"),
        replace(ENDPOINT, base_url="http://127.0.0.1:8001/v1"),
    ],
)
def test_another_server_model_or_version_has_no_facts_yet(other: Endpoint) -> None:
    save(ENDPOINT, FOUND)
    assert load(other) is None


def test_another_key_is_the_same_server() -> None:
    save(ENDPOINT, FOUND)
    assert load(replace(ENDPOINT, api_key="")) == FOUND


@pytest.mark.parametrize(("days", "found"), [(29, FOUND), (31, None), (-1, None)])
def test_old_facts_and_facts_from_the_future_are_ignored(days: int, found: Facts | None) -> None:
    path = save(ENDPOINT, FOUND)
    kept = json.loads(path.read_text())
    path.write_text(json.dumps(kept | {"saved": time.time() - days * 86_400}))
    assert load(ENDPOINT) == found


@pytest.mark.parametrize("text", ["", "{", "[]", '{"whose": 1}', "\xff\xfe", "null"])
def test_a_broken_file_is_ignored(text: str) -> None:
    path = save(ENDPOINT, FOUND)
    path.write_text(text, "latin-1")
    assert load(ENDPOINT) is None


def test_a_cache_that_cannot_be_written_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        save(ENDPOINT, FOUND, folder=tmp_path / "file")
