"""The suite that ships: sound, and fit for a first look at a server."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from evals import suites
from evals.data import load
from tests.evals import made


def test_smoke_has_many_kinds_in_two_languages() -> None:
    instances = load("smoke").instances
    assert len(instances) >= 20
    assert {each.recipe.toolchain for each in instances if each.recipe} == {"python", "node"}
    assert len({each.extra["kind"] for each in instances}) >= 10
    assert set(Counter(each.difficulty for each in instances)) == {"easy", "medium", "hard"}
    assert all(each.fail_to_pass and each.gold and each.test_patch for each in instances)


def test_every_task_holds_back_a_test() -> None:
    """Else a patch could be made to fit the tests that are seen."""
    for each in load("smoke").instances:
        assert each.recipe is not None
        tree = Path(each.recipe.source.path)
        seen = "".join(path.read_text() for path in tree.rglob("*test*") if path.is_file())
        names = [name.rpartition("::")[2].partition("[")[0] for name in each.fail_to_pass]
        assert any(name in seen for name in names), f"{each.id} has no failing test to begin with"
        assert any(name not in seen for name in names), f"{each.id} holds no failing test back"


def test_its_name_is_known() -> None:
    assert suites.names() == ["smoke"]
    assert load("smoke").sha256 == load("smoke").sha256


@pytest.mark.slow
@pytest.mark.node
@pytest.mark.timeout(400)
def test_gold_solves_every_task_and_nothing_does_not(tmp_path: Path) -> None:
    gold = made.done(made.words("gold", "smoke", "--workers", "2"), tmp_path, timeout=380)
    assert gold.returncode == 0, gold.stderr
    assert "22 of 22 valid" in gold.stdout
    nothing = made.done(made.words("gold", "smoke", "--no-op", "--match", "s$"), tmp_path)
    assert nothing.returncode == 0, nothing.stderr
    assert nothing.stdout.startswith("0 of "), nothing.stdout


def test_a_task_that_is_not_sound_is_named(tmp_path: Path) -> None:
    data = made.data_set(tmp_path, 1)
    data.write_text(data.read_text().replace("+right", "+left", 1))
    done = made.done(made.words("gold", data), tmp_path)
    assert done.returncode == 1
    assert "0 of 1 valid" in done.stdout
    assert "✗ made__task-0" in done.stderr
