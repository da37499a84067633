"""Rows of every known shape, as their publishers write them, and what is wrong with one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coder.errors import UsageError
from evals.choosing import choose
from evals.data import load
from evals.data.rows import reverse
from tests.evals import made

BENCH = {
    "instance_id": "astropy__astropy-12907",
    "repo": "astropy/astropy",
    "base_commit": "d16bfe05",
    "problem_statement": "it fails",
    "patch": "gold",
    "test_patch": "tests",
    "FAIL_TO_PASS": '["a::b"]',
    "PASS_TO_PASS": "[]",
    "version": 4.3,
    "hints_text": "",
    "created_at": "2022-03-03",
    "environment_setup_commit": "298ccb47",
}


def loaded(tmp_path: Path, *rows: dict[str, Any], name: str = "set.jsonl") -> Any:
    path = tmp_path / name
    path.write_text("\n".join(map(json.dumps, rows)) if name.endswith("l") else json.dumps(rows))
    return load(str(path)).instances


def test_bench_lite_and_verified(tmp_path: Path) -> None:
    (found,) = loaded(tmp_path, {**BENCH, "difficulty": "15 min - 1 hour"})
    assert found.fail_to_pass == ("a::b",)
    assert found.pass_to_pass == ()
    assert found.version == "4.3"
    assert found.image == "docker.io/swebench/sweb.eval.x86_64.astropy_1776_astropy-12907:latest"
    assert found.difficulty == "15 min - 1 hour"
    assert found.extra == {
        "hints_text": "",
        "created_at": "2022-03-03",
        "environment_setup_commit": "298ccb47",
    }


def test_multilingual_with_the_fields_of_harness_5(tmp_path: Path) -> None:
    row = {
        **BENCH,
        "image": "own:1",
        "eval_script": "go test",
        "log_parser": "gotest",
        "eval_type": "fail_only",
    }
    (found,) = loaded(tmp_path, row)
    assert (found.image, found.eval_script, found.log_parser, found.eval_type) == (
        "own:1",
        "go test",
        "gotest",
        "fail_only",
    )


def test_pro(tmp_path: Path) -> None:
    row = {name: value for name, value in BENCH.items() if "TO_PASS" not in name}
    row |= {"fail_to_pass": "['x']".replace("'", '"'), "pass_to_pass": "[]", "dockerhub_tag": "a.b-c"}
    (found,) = loaded(tmp_path, row)
    assert found.image == "jefzda/sweap-images:a.b-c"
    assert found.fail_to_pass == ("x",)


def test_rebench_and_gym(tmp_path: Path) -> None:
    rebench = {
        **BENCH,
        "instance_id": "r__1",
        "docker_image": "r:1",
        "install_config": {"log_parser": "parse_log_pytest"},
    }
    gym = {**BENCH, "instance_id": "g__1", "FAIL_TO_PASS": ["a", "b"], "PASS_TO_PASS": []}
    first, second = loaded(tmp_path, rebench, gym, name="set.json")
    assert (first.image, first.log_parser) == ("r:1", "parse_log_pytest")
    assert second.fail_to_pass == ("a", "b")


def test_smiths_patch_is_the_bug(tmp_path: Path) -> None:
    bug = "diff --git a/f b/f\n--- a/f\n+++ b/f\n@@ -1,2 +1,1 @@\n-good\n same\n"
    row = {
        "instance_id": "s.1",
        "problem_statement": "x",
        "image_name": "s:1",
        "patch": bug,
        "FAIL_TO_PASS": ["t"],
    }
    (found,) = loaded(tmp_path, row)
    assert "+good" in found.gold
    assert reverse(found.gold) == bug


def test_an_environment_beside_the_set(tmp_path: Path) -> None:
    environment = {
        "source": {"type": "pypi_sdist", "name": "flask", "version": "2"},
        "pins": ["a==1"],
        "test_cmd": "pytest",
    }
    (tmp_path / "env.json").write_text(json.dumps({"instances": {BENCH["instance_id"]: environment}}))
    (found,) = loaded(tmp_path, BENCH)
    assert found.recipe.source.kind == "sdist"
    assert found.recipe.pins == ("a==1",)
    assert found.image == ""


@pytest.mark.pyarrow
def test_parquet(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.Table.from_pylist([BENCH]), tmp_path / "set.parquet")
    (found,) = load(str(tmp_path / "set.parquet")).instances
    assert found.id == BENCH["instance_id"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"instance_id": "a"}', "it has no problem_statement"),
        ("{", "is no JSON"),
        ("[1]", "a row must be an object"),
        ("", "has no instances"),
        (json.dumps({**BENCH, "FAIL_TO_PASS": "a, b"}), "FAIL_TO_PASS must be a list"),
        (json.dumps({**BENCH, "repo": ["x"]}), "repo must be text"),
        (json.dumps({**BENCH, "environment": {"source": {"kind": "ftp"}}}), "there is no kind 'ftp'"),
        (json.dumps(BENCH) + "\n" + json.dumps(BENCH), "is there twice"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "set.jsonl"
    path.write_text(content)
    with pytest.raises(UsageError, match=said):
        load(str(path))


def test_no_such_set() -> None:
    with pytest.raises(UsageError, match="there is no data set nowhere") as error:
        load("nowhere")
    assert "smoke" in error.value.hint


def choice(tmp_path: Path, **how: Any) -> list[str]:
    data = load(str(made.data_set(tmp_path, 20)))
    defaults: dict[str, Any] = {"ids": "", "match": "", "part": "", "limit": None, "seed": 0}
    return [each.id.removeprefix("made__task-") for each in choose(data, **{**defaults, **how})]


def test_choosing(tmp_path: Path) -> None:
    assert choice(tmp_path, part="0:3") == ["0", "1", "2"]
    assert choice(tmp_path, match="-1.$", part="::4") == ["10", "14", "18"]
    assert choice(tmp_path, ids="made__task-7, made__task-3") == ["7", "3"]


def test_a_sample_is_the_seeds(tmp_path: Path) -> None:
    first = choice(tmp_path, limit=5)
    assert first == choice(tmp_path, limit=5)
    assert len(first) == 5
    assert first != choice(tmp_path, limit=5, seed=1)
    assert first == sorted(first, key=int)


@pytest.mark.parametrize(
    "how", [{"ids": "x"}, {"match": "("}, {"part": "a:b"}, {"part": "3"}, {"match": "zzz"}]
)
def test_a_choice_that_cannot_be(tmp_path: Path, how: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        choice(tmp_path, **how)
