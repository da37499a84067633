"""Profiles: which model gets which, and what a wrong file says."""

from pathlib import Path

import pytest

from coder.errors import ConfigError
from coder.model.profile import load_profile, match_profile, profile_names


@pytest.mark.parametrize(
    ("model", "profile"),
    [
        ("nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8", "nemotron-3-super"),
        ("nemotron-3-super", "nemotron-3-super"),
        ("nvidia/nemotron_3_nano_30b_a3b", "nemotron-3-super"),
        ("Qwen/Qwen2.5-Coder-1.5B-Instruct", "small-coder"),
        ("qwen2.5-coder-1.5b", "small-coder"),
        ("qwen2.5-coder:7b", "small-coder"),
        ("smollm2-0.5b_q4", "small-coder"),
        ("TinyLlama", "small-coder"),
        ("Qwen3-Coder-30B-A3B-Instruct", "generic"),
        ("qwen2.5-coder-32b", "generic"),
        ("gpt-oss-120b", "generic"),
        ("default", "generic"),
    ],
)
def test_a_models_name_chooses_its_profile(model: str, profile: str) -> None:
    assert match_profile(model).name == profile


def test_a_name_behind_an_alias_counts_too() -> None:
    assert match_profile("default", "nvidia/Nemotron-3-Super-120B").name == "nemotron-3-super"


def test_nemotron_is_sampled_as_its_card_says() -> None:
    profile = load_profile("nemotron-3-super")
    assert (profile.temperature, profile.top_p, profile.dialect) == (1.0, 0.95, "nemotron")
    assert profile.thinking.chat_template_kwargs == {
        "enable_thinking": True,
        "force_nonempty_content": True,
        "truncate_history_thinking": False,
    }


@pytest.mark.parametrize("name", profile_names())
def test_every_profile_that_ships_loads_under_its_own_name(name: str) -> None:
    assert load_profile(name).name == name


def test_a_profile_of_ones_own_is_named_by_its_path(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nmatch = ["mine"]\ntemperature = 0.3\n[thinking]\nsupports = true\n')
    profile = load_profile(str(file))
    assert (profile.name, profile.temperature, profile.thinking.supports) == ("mine", 0.3, True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "x"\ntemprature = 1', "temprature"),
        ('name = "x"\ntemperature = "hot"', "temperature"),
        ('name = "x"\n[thinking]\nsuport = true', "thinking.suport"),
        ('name = "x"\nmatch = ["("]', "regular expression"),
        ("name = ", "mine.toml"),
        ("", "name"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_profile(str(file))
    assert says in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_an_unknown_profile_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError) as caught:
        load_profile("gpt-9")
    assert "small-coder" in caught.value.hint
