"""Profiles: which model gets which, the user's own before those that ship, and what a wrong file says."""

from pathlib import Path

import pytest

from coder.errors import ConfigError
from coder.model.profile import load_profile, match_profile, profile_names

SERVED = {
    "devstral": """
        mistralai/Devstral-Small-2507 mistralai/Devstral-Small-2-24B-Instruct-2512 devstral-small-2:24b devstral:24b
        Devstral-2-123B-Instruct-2512-UD-Q4_K_XL.gguf mlx-community/Devstral-Small-2507-4bit
    """,
    "gpt-oss": """
        openai/gpt-oss-120b openai/gpt-oss-20b gpt-oss:20b gpt-oss:120b gpt-oss-120b-mxfp4-00001-of-00003.gguf
        lmstudio-community/gpt-oss-20b-GGUF
    """,
    "nemotron-3-nano": """
        nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16 nvidia/nemotron-3-nano nvidia/nemotron-3-nano-30b-a3b
        nemotron-3-nano:30b nvidia/nemotron_3_nano_30b_a3b Nemotron-3-Nano-30B-A3B-UD-Q8_K_XL.gguf
        nvidia/Nemotron-Nano-3-30B-A3B-FP8 nvidia/Nemotron-3-Nano-Omni-30B-A3B-Reasoning-BF16
    """,
    "nemotron-3-super": """
        nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8 nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4
        nvidia/nemotron-3-super-120b-a12b nemotron-3-super:120b nemotron-3-super nvidia/nemotron-3-super
        unsloth/NVIDIA-Nemotron-3-Super-120B-A12B-GGUF /models/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4/
        NVIDIA-Nemotron-3-Super-120B-A12B-UD-Q4_K_XL-00001-of-00003.gguf
    """,
    "nemotron-3-ultra": "nvidia/NVIDIA-Nemotron-3-Ultra-550B-A55B-NVFP4 nemotron-3-ultra",
    "qwen3": """
        Qwen/Qwen3-32B Qwen/Qwen3-235B-A22B-Thinking-2507 qwen3:32b qwen3:30b-a3b Qwen3-30B-A3B-Q4_K_M.gguf qwen3:14b
        /models/hub/models--Qwen--Qwen3-32B-AWQ/snapshots/0f3a
    """,
    "qwen3.5": """
        Qwen/Qwen3.5-122B-A10B Qwen/Qwen3.6-35B-A3B-FP8 Qwen/Qwen3.8-27B qwen3.6:27b Qwen3.6-27B-UD-Q6_K_XL.gguf
    """,
    "qwen3-coder": """
        Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8 Qwen/Qwen3-Coder-30B-A3B-Instruct qwen3-coder:30b qwen3-coder
        unsloth/Qwen3-Coder-30B-A3B-Instruct-GGUF Qwen3-Coder-30B-A3B-Instruct-Q8_0.gguf qwen3-coder-plus
    """,
    "qwen3-coder-next": "Qwen/Qwen3-Coder-Next qwen3-coder-next:q4_K_M Qwen3-Coder-Next-UD-Q4_K_XL.gguf",
    "small-coder": """
        Qwen/Qwen2.5-Coder-1.5B-Instruct qwen2.5-coder:7b qwen2.5-coder-1.5b-instruct-q4_k_m.gguf smollm2-0.5b_q4
        TinyLlama deepseek-coder:6.7b meta-llama/Llama-3.1-8B-Instruct Qwen/Qwen3-4B qwen3:8b Qwen/Qwen3-4B-Instruct-2507
        Qwen/Qwen3.5-4B google/gemma-3-4b-it nvidia/NVIDIA-Nemotron-3-Nano-4B-BF16 nemotron-3-nano:4b starcoder2:3b
    """,
    "generic": """
        default local-model qwen2.5-coder-32b Qwen/Qwen2.5-Coder-32B-Instruct-AWQ Qwen/Qwen3-30B-A3B-Instruct-2507
        zai-org/GLM-4.5-Air mistralai/Mixtral-8x7B-Instruct-v0.1 nvidia/NVIDIA-Nemotron-Nano-9B-v2 gemma3:27b phi-4
        MiniMaxAI/MiniMax-M2 deepseek-ai/DeepSeek-V3.2 mlx-community/Mistral-Small-24B-Instruct-4bit
    """,
}
"""Names as servers list them: of the hub, of NIM, of Ollama, of files and folders."""
NAMES = [(name, profile) for profile, names in SERVED.items() for name in names.split()]


@pytest.fixture(autouse=True)
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's own folder of profiles, empty."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    folder = tmp_path / "xdg/coder/profiles"
    folder.mkdir(parents=True)
    return folder


# -- those that ship -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("model", "profile"), NAMES)
def test_a_models_name_fits_exactly_one_profile(model: str, profile: str) -> None:
    fitting = [name for name in profile_names() if load_profile(name).fits(model)]
    assert fitting == ([] if profile == "generic" else [profile])
    assert match_profile(model).name == profile


def test_the_list_of_names_covers_every_profile() -> None:
    assert set(SERVED) == set(profile_names())
    assert len(NAMES) >= 40


def test_a_name_behind_an_alias_counts_too() -> None:
    assert match_profile("default", "nvidia/Nemotron-3-Super-120B").name == "nemotron-3-super"


@pytest.mark.parametrize(
    ("name", "sampling"),
    [
        ("nemotron-3-super", (1.0, 0.95, None)),
        ("nemotron-3-nano", (0.6, 0.95, None)),
        ("qwen3", (0.6, 0.95, 20)),
        ("qwen3-coder", (0.7, 0.8, 20)),
        ("qwen3-coder-next", (1.0, 0.95, 40)),
        ("gpt-oss", (1.0, 1.0, None)),
        ("devstral", (0.15, None, None)),
    ],
)
def test_models_are_sampled_as_their_cards_say(
    name: str, sampling: tuple[float, float | None, int | None]
) -> None:
    profile = load_profile(name)
    assert (profile.temperature, profile.top_p, profile.top_k) == sampling


def test_what_has_no_key_of_its_own_is_extra() -> None:
    assert load_profile("qwen3-coder").extra == {"repetition_penalty": 1.05}
    assert load_profile("qwen3-coder-next").extra == {}


def test_nemotron_thinks_as_its_template_and_parser_want_it() -> None:
    nemotron = load_profile("nemotron-3-super")
    assert (nemotron.dialect, nemotron.thinking.keep_history) == ("nemotron", True)
    assert nemotron.thinking.chat_template_kwargs == {
        "enable_thinking": True,
        "force_nonempty_content": True,
        "truncate_history_thinking": False,
    }
    assert (nemotron.thinking.low, nemotron.thinking.fixed) == ({"low_effort": True}, ("low",))


def test_its_sisters_have_its_tools_but_not_its_effort() -> None:
    family = [load_profile(f"nemotron-3-{name}") for name in ("super", "ultra", "nano")]
    assert {sister.dialect for sister in family} == {"nemotron"}
    assert [sister.thinking.low for sister in family] == [{"low_effort": True}, {"medium_effort": True}, {}]


@pytest.mark.parametrize("name", SERVED)
def test_every_profile_that_ships_loads_under_its_own_name(name: str) -> None:
    assert load_profile(name).name == name


# -- one's own -------------------------------------------------------------------------------------------------------


def test_a_profile_of_ones_own_is_found_by_name_and_by_match_before_those_that_ship(own: Path) -> None:
    (own / "mine.toml").write_text(
        'match = ["qwen3-coder"]\ntemperature = 0.3\n[thinking]\nsupports = true\n'
    )
    assert "mine" in profile_names()
    profile = load_profile("mine")
    assert (profile.name, profile.temperature, profile.thinking.supports) == ("mine", 0.3, True)
    assert match_profile("Qwen/Qwen3-Coder-30B-A3B-Instruct").name == "mine"
    assert match_profile("gpt-oss:20b").name == "gpt-oss"


def test_a_profile_gives_only_what_differs_from_its_base(own: Path) -> None:
    (own / "mine.toml").write_text('base = "nemotron-3-super"\ntop_k = 5\n[thinking]\nroutine = 2048\n')
    mine, base = load_profile("mine"), load_profile("nemotron-3-super")
    assert (mine.name, mine.top_k, mine.temperature, mine.match) == ("mine", 5, 1.0, base.match)
    assert (mine.thinking.routine, mine.thinking.fixed, mine.thinking.low) == (
        2048,
        ("low",),
        base.thinking.low,
    )


def test_a_profile_that_ships_can_be_changed_under_its_own_name(own: Path) -> None:
    (own / "gpt-oss.toml").write_text('base = "gpt-oss"\ncontext = 4096\n')
    assert (load_profile("gpt-oss").context, load_profile("gpt-oss").top_p) == (4096, 1.0)
    assert match_profile("gpt-oss:20b").context == 4096


def test_a_file_that_changes_is_read_again(own: Path) -> None:
    for size in (1000, 2000):
        (own / "mine.toml").write_text(f"context = {size}")
        assert load_profile("mine").context == size


def test_a_profile_of_ones_own_can_lie_anywhere(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('name = "mine"\nbase = "devstral"')
    assert (load_profile(str(file)).name, load_profile(str(file)).temperature) == ("mine", 0.15)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("temprature = 1", "temprature"),
        ('temperature = "hot"', "temperature"),
        ("thinking = true", "thinking"),
        ("[thinking]\nsuport = true", "thinking.suport"),
        ("[thinking]\nroutine = 'some'", "thinking.routine"),
        ("[thinking]\ndefault = 'hard'", "thinking.default"),
        ("[thinking]\nfixed = ['high']", "thinking.fixed"),
        ('match = ["("]', "regular expression"),
        ('name = "yours"', "must be the file's name, 'mine'"),
        ("base = 3", "base"),
        ('base = "gpt-9"', "no other profile 'gpt-9'; known: devstral"),
        ('base = "mine"', "no other profile 'mine'"),
        ("name = ", "mine.toml"),
    ],
)
def test_a_wrong_file_is_named_with_its_key(own: Path, text: str, says: str) -> None:
    (own / "mine.toml").write_text(text)
    for ask, name in ((load_profile, "mine"), (match_profile, "any model")):
        with pytest.raises(ConfigError) as caught:
            ask(name)
        assert says in str(caught.value)
        assert "mine.toml" in str(caught.value)


def test_a_wrong_base_is_named_and_a_ring_of_bases_ends(own: Path) -> None:
    (own / "under.toml").write_text("context = 'wide'")
    (own / "over.toml").write_text('base = "under"')
    with pytest.raises(ConfigError, match=r"under\.toml: .*context"):
        load_profile("over")
    (own / "under.toml").write_text('base = "over"')
    with pytest.raises(ConfigError, match="no other profile 'over'"):
        load_profile("over")


def test_a_wrong_file_does_not_stand_in_the_way_of_a_profile_that_is_named(own: Path) -> None:
    (own / "wrong.toml").write_text("nonsense")
    assert load_profile("gpt-oss").name == "gpt-oss"


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere/mine\.toml"):
        load_profile("nowhere/mine.toml")


def test_an_unknown_profile_lists_the_known_ones(own: Path) -> None:
    (own / "mine.toml").write_text("")
    with pytest.raises(ConfigError) as caught:
        load_profile("gpt-9")
    assert "small-coder" in caught.value.hint
    assert "mine" in caught.value.hint
