"""The table of fixes: complete, and never a sentence with a hole."""

from __future__ import annotations

import re
from itertools import product

import pytest

from coder.model.backends import Backend
from coder.model.fixes import Fault, fix
from coder.model.profile import load_profile, profile_names

BACKENDS = (
    "vllm",
    "sglang",
    "tensorrt-llm",
    "nim",
    "llama.cpp",
    "llama-cpp-python",
    "ollama",
    "lm-studio",
    "litellm",
    "generic",
)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_has_a_sentence_for_every_server_and_model(fault: Fault) -> None:
    profiles = [load_profile(name) for name in profile_names()]
    for backend, profile in product(BACKENDS, profiles):
        sentence = fix(fault, Backend(backend), profile)
        assert 20 < len(sentence) < 200, sentence
        assert not re.search(r"\{\w*\}|\.$", sentence), sentence


def test_flags_are_those_of_the_server_at_hand() -> None:
    nemotron = load_profile("nemotron-3-super")
    assert "--tool-call-parser qwen3_coder" in fix(Fault.TOOL_PARSER, Backend("sglang"), nemotron)
    assert "--reasoning-parser nemotron_v3" in fix(Fault.REASONING_PARSER, Backend("vllm"), nemotron)
    assert '{"reasoning_start_str":"<think>"' in fix(Fault.BUDGET, Backend("vllm"), nemotron)
    assert "NIM_ENABLE_BUDGET_CONTROL=1" in fix(Fault.BUDGET, Backend("nim"), nemotron)
    assert "OLLAMA_CONTEXT_LENGTH" in fix(Fault.CONTEXT_CUT, Backend("ollama"), nemotron)


def test_a_fault_can_be_named_by_its_words_and_an_unknown_one_is_an_error() -> None:
    generic = load_profile("generic")
    assert fix("requests wait for one another", Backend("llama.cpp"), generic).endswith("-np 4 --kv-unified")
    with pytest.raises(ValueError, match="no such thing"):
        fix("no such thing", Backend(), generic)
